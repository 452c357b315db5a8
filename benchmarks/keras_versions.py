"""Which versions of Keras read a `.keras` export, and compute the same.

    python -m benchmarks.keras_versions runs/digits/export/encoder.keras 3.15.0 3.14.0 3.13.2

Each version is installed into a temporary folder, with this environment's TensorFlow.
"""

import argparse
import os
import subprocess
import sys
import tempfile

PROGRAM = """
import base64, io, json, sys, zipfile
import keras, numpy as np
from PIL import Image
encoder = keras.models.load_model(sys.argv[1], compile=False)
side = encoder.input_shape[1]
pixels = np.arange(2 * side * side * 3).reshape(2, side, side, 3) % 251
print("RESULT", keras.__version__, json.dumps(encoder.predict(pixels, verbose=0).tolist()))
"""


def try_version(path: str, version: str) -> tuple[str, str]:
    """The embeddings of one version as JSON and an empty text, or an empty text and the error."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder]
        subprocess.run([*pip, f"keras=={version}"], check=True)
        environment = os.environ | {"PYTHONPATH": folder, "TF_CPP_MIN_LOG_LEVEL": "3"}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, path], env=environment, capture_output=True, text=True
        )
    for line in done.stdout.splitlines():
        if line.startswith(f"RESULT {version} "):
            return line.split(" ", 2)[2], ""
    said = [line for line in done.stderr.splitlines() if line.strip()]
    return "", said[-1][:160] if said else "no output"


def main() -> None:
    import json

    import numpy as np

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", help="a .keras file")
    parser.add_argument(
        "versions", nargs="+", help="versions of Keras, the first one to compare to"
    )
    arguments = parser.parse_args()
    expected = None
    for version in arguments.versions:
        found, error = try_version(arguments.path, version)
        if error:
            print(f"{version}: not read ({error})", flush=True)
            continue
        rows = np.array(json.loads(found))
        expected = rows if expected is None else expected
        print(f"{version}: read, equal within {np.abs(rows - expected).max():.1g}", flush=True)


if __name__ == "__main__":
    main()
