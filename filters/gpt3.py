"""GPT-3's quality cut: Brown et al. 2020, Language Models are Few-Shot Learners, arXiv:2005.14165, appendix A.

It has no rules over text. A classifier scores a document from 0 to 1, and it stays if a draw from a Pareto (Lomax)
distribution with α = 9 exceeds 1 - score: with probability (2 - score) ** -9. So 0.2 % of the documents with score 0
stay, 13 % with 0.75, all with 1.
"""

from __future__ import annotations

QUALITY_KEEP = "pareto 9"
"""The value of the recipe's `quality.keep` that makes this cut."""
