"""Signals and rules: what is measured of a document, and which limits keep it."""
