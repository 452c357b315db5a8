"""Trains an encoder without labels: python train.py --flagfile=configs/digits.cfg"""

import sys

from and_tf.cli.programs import train

if __name__ == "__main__":
    sys.exit(train())
