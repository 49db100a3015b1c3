"""The main content of a page, from its bytes: scan, measure, choose, write. No tree is built."""
