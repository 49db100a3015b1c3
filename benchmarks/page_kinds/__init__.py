"""Builds tests/data/page-kinds.jsonl.zst, pages of many kinds with the text an extractor should return."""
