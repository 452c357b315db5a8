"""Finds photos like a given one: python search.py --index=features.parquet --query=a.jpg"""

import sys

from and_tf.cli.search import main

if __name__ == "__main__":
    sys.exit(main())
