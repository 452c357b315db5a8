"""Embeds a folder of images: python embed.py --images=FOLDER --neighbours=10"""

import sys

from and_tf.cli.embed import main

if __name__ == "__main__":
    sys.exit(main())
