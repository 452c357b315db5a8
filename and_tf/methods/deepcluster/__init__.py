"""DeepCluster: clusters of the features are the classes that the next epoch learns."""
