"""Clusters of a collection: how many, which images stand for each, and copies by cluster."""
