"""Cross-level discrimination (CLD) as a loop over images, centroids and members."""

import numpy as np
import tensorflow as tf


def naive_group_loss(first, second, num_clusters, iterations=5, temperature=0.2):
    """The loss, a scalar tensor, of two views (B, D) of a batch; gradients go through it."""
    losses = []
    for features, others in ((first, second), (second, first)):
        groups, centroids = naive_clusters(tf.unstack(others), num_clusters, iterations)
        for x, group in zip(tf.unstack(features), groups, strict=True):
            logits = tf.stack([tf.reduce_sum(x * c) / temperature for c in centroids])
            losses.append(tf.reduce_logsumexp(logits) - logits[group])
    return sum(losses) / len(losses)


def naive_clusters(images, num_clusters, iterations):
    """The cluster of each of a list of images (D,), and the centroids, means of their members."""
    centroids = images[:num_clusters]
    for _ in range(iterations):
        groups = [
            int(np.argmin([float(tf.reduce_sum((x - c) ** 2)) for c in centroids])) for x in images
        ]
        members = [
            [x for x, group in zip(images, groups, strict=True) if group == k]
            for k in range(num_clusters)
        ]
        centroids = [sum(m) / len(m) if m else tf.zeros_like(images[0]) for m in members]
    return groups, centroids
