"""Data sets with random access, one file for each kind."""
