"""Training on batches that a test has made itself."""

import tensorflow as tf


def fit(model, steps):
    """The mean loss of an epoch on a list of batches: (images, indices (B,) int64)."""
    shape = (None, *steps[0][0].shape[1:])
    signature = (tf.TensorSpec(shape, tf.float32), tf.TensorSpec((None,), tf.int64))
    data = tf.data.Dataset.from_generator(lambda: iter(steps), output_signature=signature)
    data = data.apply(tf.data.experimental.assert_cardinality(len(steps)))
    return model.fit(data, verbose=0, shuffle=False).history["loss"][0]
