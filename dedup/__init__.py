"""Exact and near duplicates: signatures, candidates, verified edges, clusters."""
