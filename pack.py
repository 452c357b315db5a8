"""Packs the images of a folder into a few large files: python pack.py --data=PHOTOS --output=DIR"""

import sys

from and_tf.cli.pack import main

if __name__ == "__main__":
    sys.exit(main())
