"""Trains an encoder without labels: python train.py --flagfile=configs/digits.cfg"""

import sys

from and_tf.cli.train import main

if __name__ == "__main__":
    sys.exit(main())
