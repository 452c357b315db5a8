"""What a run has learned, as one HTML page and for TensorBoard.

A section of the page is one file in `sections` and its entry in the list there.
"""
