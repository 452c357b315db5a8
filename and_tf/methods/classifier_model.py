"""A Keras model with a softmax classifier on an encoder's features: of labels, or of clusters."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from and_tf.bank.rows import read_rows
from and_tf.encoders import before_normalisation
from and_tf.methods.method_model import MethodModel

TOP_STD = 0.01  # of the initial weights of the top layer


@keras.saving.register_keras_serializable("and_tf")
class ClassifierModel(MethodModel):
    """An encoder, and a layer `top` on its features that computes a logit for each class.

    The top takes the vectors of `fc` before the encoder normalises them: logits of unit vectors
    would need a scale of their own. The top is discarded after training; embeddings, kNN and
    exports use the encoder, as with every method.

    Args:
        encoder: any built `keras.Model` from images to rows (B, D), see `MethodModel`.
        num_samples: number of training images N.
        num_classes: C.
        seed: of the top's initial weights, or None.
        **kwargs: of `keras.Model`.

    Attributes:
        classes: variable (N,) int64, class of each image, 0 until it is assigned.
        features: keras.Model from images to the vectors (B, F) before the top and its ReLU; shares
            the encoder's layers.
        top: the last layer.
        relu: whether the top takes the features after a ReLU.
    """

    relu = False

    def __init__(
        self,
        encoder: keras.Model,
        num_samples: int,
        num_classes: int,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(encoder, num_samples, **kwargs)
        self.num_classes = num_classes
        self.seed = int(np.random.default_rng().integers(2**31)) if seed is None else seed
        vectors = before_normalisation(self.encoder)  # (B, F)
        self.features = keras.Model(self.encoder.input, vectors, name="features")
        # In float32 under every policy, like the softmax over a bank.
        self.top = keras.layers.Dense(num_classes, dtype="float32", name="top")
        self.top.build(vectors.shape)
        self.draw_top()
        self.classes = self.add_weight(
            name="classes",
            shape=(num_samples,),
            dtype="int64",  # int32 would be on the host, see `AND`
            initializer="zeros",
            trainable=False,
            autocast=False,
        )

    def draw_top(self, *number: int) -> None:
        """Redraws the top, as DeepCluster does: a pure function of the seed and the numbers."""
        rng = np.random.default_rng([self.seed, *number])
        self.top.kernel.assign(rng.normal(0, TOP_STD, self.top.kernel.shape).astype(np.float32))
        self.top.bias.assign(np.zeros(self.num_classes, np.float32))

    def class_losses(self, features: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
        """Cross-entropy (B,) float32, in nats, of features (B, F) of the images `indices` (B,)."""
        features = tf.cast(features, tf.float32)
        logits = self.top(tf.nn.relu(features) if self.relu else features)  # (B, C)
        classes = read_rows(self.classes.value, indices)  # (B,)
        return tf.nn.sparse_softmax_cross_entropy_with_logits(classes, logits)

    def losses_and_gradients(
        self, images: tf.Tensor, indices: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tf.Tensor, tuple[()], list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            losses = self.class_losses(self.features(images, training=True), indices)  # (B,)
            total = tf.reduce_sum(weights * losses)
        return losses, (), tape.gradient(total, self.trainable_variables)

    def losses(self, images: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
        return self.class_losses(self.features(images, training=False), indices)

    def state(self) -> dict[str, keras.Variable]:
        return {"top/kernel": self.top.kernel, "top/bias": self.top.bias}

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "num_classes": self.num_classes,
            "seed": self.seed,
        }
