import numpy as np
import pytest
import tensorflow as tf
from helpers.naive_group_loss import naive_group_loss

from and_tf.methods.group_loss import clusters, group_loss, group_losses


def unit_rows(count, dim, seed):
    rows = np.random.default_rng(seed).normal(size=(count, dim)).astype("float32")
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_loss_gradients_and_clusters_equal_the_authors(golden, jit_compile):
    arrays = golden("f_options")
    first, second = tf.constant(arrays["cld_view1"]), tf.constant(arrays["cld_view2"])
    for number, view in enumerate((first, second), start=1):
        found, centroids = clusters(view, 32, 5)
        np.testing.assert_array_equal(found, arrays[f"cld_labels{number}"])
        np.testing.assert_allclose(centroids, arrays[f"cld_centroids{number}"], atol=1e-6)

    @tf.function(jit_compile=jit_compile)
    def run(first, second):
        with tf.GradientTape() as tape:
            tape.watch([first, second])
            loss = group_loss(first, second, 32, iterations=5, temperature=0.2)
        return loss, tape.gradient(loss, [first, second])

    loss, gradients = run(first, second)
    np.testing.assert_allclose(loss, arrays["cld_loss"], rtol=1e-6)
    np.testing.assert_allclose(gradients[0], arrays["cld_grad1"], atol=1e-7)
    np.testing.assert_allclose(gradients[1], arrays["cld_grad2"], atol=1e-7)


@pytest.mark.parametrize("num_clusters", [1, 4, 9])
@pytest.mark.parametrize("iterations", [1, 5])
def test_loss_equals_a_loop(num_clusters, iterations):
    first = unit_rows(9, 5, seed=1)
    second = first + 0.2 * unit_rows(9, 5, seed=2)
    exactly = (tf.constant(view, tf.float64) for view in (first, second))
    expected = naive_group_loss(*exactly, num_clusters, iterations, 0.3)
    found = group_loss(tf.constant(first), tf.constant(second), num_clusters, iterations, 0.3)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_cluster_that_loses_its_images_has_centroid_0():
    features = tf.constant([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    found, centroids = clusters(features, 3, 2)
    assert found.numpy().tolist() == [0, 0, 2]
    np.testing.assert_array_equal(centroids, [[1, 0], [0, 0], [0, 1]])


def test_views_may_change_places_and_one_cluster_leaves_nothing_to_tell():
    first, second = tf.constant(unit_rows(8, 5, seed=1)), tf.constant(unit_rows(8, 5, seed=2))
    one, other = group_losses(first, second, 4), group_losses(second, first, 4)
    np.testing.assert_allclose(one, other, rtol=1e-6)
    np.testing.assert_array_equal(group_losses(first, second, 1), np.zeros(8))
