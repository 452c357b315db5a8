"""Nearest rows: all pairs, the k nearest, an index. Nothing else in the package searches."""
