"""Near-duplicates: pairs, groups of them, and which image of a group to keep."""
