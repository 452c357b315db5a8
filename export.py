"""Exports the encoder of a run: python export.py --format=onnx"""

import sys

from and_tf.cli.export import main

if __name__ == "__main__":
    sys.exit(main())
