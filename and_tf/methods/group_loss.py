"""Cross-level discrimination: the images of one view against clusters of the other."""

import tensorflow as tf

from and_tf.bank.collectives import gather_replicas, own_parts

ITERATIONS, TEMPERATURE = 5, 0.2


def group_loss(
    first: tf.Tensor,
    second: tf.Tensor,
    num_clusters: int | tf.Tensor,
    iterations: int = ITERATIONS,
    temperature: float = TEMPERATURE,
) -> tf.Tensor:
    """Mean cross-entropy of assigning each image to its cluster in the other view.

    Args:
        first: (B, D) float, unit features of one view of a batch.
        second: (B, D) float, those of the other view of the same images.
        num_clusters: K, from 1 to B.
        iterations: of k-means.
        temperature: of the softmax over the centroids, above 0.

    Returns:
        Scalar in nats, with gradients to both views, including those through the centroids.

    Reference: Wang, Liu, Yu, "Unsupervised Feature Learning by Cross-Level Instance-Group
    Discrimination", CVPR 2021.
    """
    return tf.reduce_mean(group_losses(first, second, num_clusters, iterations, temperature))


def group_losses(
    first: tf.Tensor,
    second: tf.Tensor,
    num_clusters: int | tf.Tensor,
    iterations: int = ITERATIONS,
    temperature: float = TEMPERATURE,
) -> tf.Tensor:
    """`group_loss` for each image, (B,) float32: the mean of both directions."""
    first, second = tf.cast(first, tf.float32), tf.cast(second, tf.float32)
    groups, centroids = clusters(first, num_clusters, iterations)  # (B,), (K, D)
    other_groups, other_centroids = clusters(second, num_clusters, iterations)

    def losses(features: tf.Tensor, centroids: tf.Tensor, groups: tf.Tensor) -> tf.Tensor:
        logits = tf.matmul(features, centroids, transpose_b=True) / temperature  # (B, K)
        return tf.nn.sparse_softmax_cross_entropy_with_logits(groups, logits)

    one, other = losses(first, other_centroids, other_groups), losses(second, centroids, groups)
    return (one + other) / 2


def clusters(
    features: tf.Tensor, num_clusters: int | tf.Tensor, iterations: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """k-means within a batch; the first images are the initial centroids.

    Args:
        features: (B, D) float32.
        num_clusters: K, from 1 to B.
        iterations: at least 1.

    Returns:
        The cluster (B,) int64 of each image; and the centroids (K, D), plain means through which
        gradients flow to the features. The centroid of an empty cluster is 0.
    """
    centroids = features[:num_clusters]  # (K, D)
    for _ in range(iterations):
        # The squared distances to all centroids, minus the image's own squared norm.
        distances = tf.reduce_sum(tf.square(centroids), axis=1) - 2 * tf.matmul(
            features, centroids, transpose_b=True
        )  # (B, K)
        found = tf.argmin(distances, axis=1)  # (B,)
        members = tf.one_hot(found, num_clusters)  # (B, K)
        sizes = tf.maximum(tf.reduce_sum(members, axis=0), 1.0)  # (K,)
        centroids = tf.matmul(members, features, transpose_a=True) / sizes[:, None]
    return found, centroids


def group_losses_and_gradients(features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """`group_losses` of this replica's images, with clusters of the images of all replicas.

    There are half as many clusters as images in the global batch. Every replica computes the losses
    of all images, which is little work, so it has all that a gradient through the centroids needs.

    Args:
        features: (2 B, D) float32, unit features of this replica's images; the two views of an
            image follow each other.

    Returns:
        Losses (B,), and the gradient (2 B, D) of the sum of the losses of all replicas.
    """
    pairs = tf.reshape(features, [-1, 2, features.shape[1]])  # (B, 2, D)
    (everyone,), start = gather_replicas(pairs)  # (global B, 2, D)
    num_clusters = tf.maximum(tf.shape(everyone)[0] // 2, 1)
    with tf.GradientTape() as tape:
        tape.watch(everyone)
        losses = group_losses(everyone[:, 0], everyone[:, 1], num_clusters)  # (global B,)
    gradient = tape.gradient(losses, everyone)  # of their sum
    losses, gradient = own_parts(tf.shape(pairs)[0], start, losses, gradient)
    return losses, tf.reshape(gradient, tf.shape(features))
