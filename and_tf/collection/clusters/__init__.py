"""Clusters of a collection: how many, which images represent each, and copies by cluster."""
