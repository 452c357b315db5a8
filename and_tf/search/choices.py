"""What discovery can be asked for, by name, for settings and for the code that they reach."""

SEARCHES = ("exact", "faiss")
PRECISIONS = ("float32", "bfloat16", "float16")  # of the similarities
