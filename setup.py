"""The packages of the wheel: those of and_tf, and the cards of configs/ as and_tf/configs.

All else is in pyproject.toml, which cannot add a folder from outside to packages that it finds.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["and_tf*"]), "and_tf.configs"],
    package_dir={"and_tf.configs": "configs"},
)
