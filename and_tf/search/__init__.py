"""Nearest-neighbour search: all pairs, the k nearest rows, a faiss index."""
