"""A collection of images, embedded: table, neighbours, near-duplicates, clusters."""
