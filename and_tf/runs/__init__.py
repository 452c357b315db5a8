"""The folder of a run: everything that is written to it or read from it."""
