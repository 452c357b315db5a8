"""What is measured of and_tf: each module prints a table when it is run with `python -m`."""
