"""Evaluates a run: python evaluate.py --classifier=linear --layer=conv4"""

import sys

from and_tf.cli.evaluate import main

if __name__ == "__main__":
    sys.exit(main())
