"""Refine a pretraining corpus, and measure what each step of refining is worth in loss."""

from importlib.metadata import version

__version__ = version("datassay")
