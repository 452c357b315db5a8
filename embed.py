"""Embeds a folder of images: python embed.py --images=FOLDER --neighbours=10"""

import sys

from and_tf.cli.programs import embed

if __name__ == "__main__":
    sys.exit(embed())
