"""Writes a run's report, one HTML page: python report.py --workdir=runs/digits"""

import sys

from and_tf.cli.report import main

if __name__ == "__main__":
    sys.exit(main())
