"""Names of the options of discovery, for the settings and for the code that reads them."""

SEARCHES = ("exact", "faiss")
PRECISIONS = ("float32", "bfloat16", "float16")  # of the similarities
