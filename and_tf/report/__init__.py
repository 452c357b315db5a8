"""What a run has learned, as one HTML page and for TensorBoard."""

import importlib.util

for _package in ("jinja2", "matplotlib"):
    if importlib.util.find_spec(_package) is None:
        raise ImportError(f"A report needs {_package}: pip install jinja2 matplotlib")
