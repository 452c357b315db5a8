"""AND as a Keras model: `fit` trains the encoder against the memory bank."""

import keras
import tensorflow as tf

from and_tf.losses import bank_loss, neighbourhood_loss
from and_tf.memory_bank import MemoryBank

BANK_BLOCK = 16_384  # rows compared at once where the (B, N) logits would exceed their budget


@keras.saving.register_keras_serializable("and_tf")
class AND(keras.Model):
    """Anchor Neighbourhood Discovery around an encoder.

    `train_step` is the non-parametric softmax of a batch against the bank. Without neighbours, in
    round 0, every image is a class of its own: the method Instance. `NeighbourhoodCurriculum` sets
    `neighbours`, `is_anchor`, `entropy` and `round`, which are weights of the model as the bank is,
    so that one checkpoint holds all.

    Args:
        encoder: built `keras.Model` from images to unit embeddings (B, D).
        num_samples: number of training images N.
        neighbourhood_size: k, neighbours besides the anchor itself, from 1 to N - 1.
        temperature: tau of the paper.
        rate: eta of the paper, the share of the new embedding in a bank update.
        seed: makes the bank's start reproducible, or None.
        logits_budget_mb: memory in MiB for a replica's logits (B, N) float32; beyond it the loss
            runs over the bank in blocks (`losses.bank_loss`).

    Example:
        model = AND(encoder, num_samples=len(source))
        model.compile(optimizer=TorchSGD(0.03, momentum=0.9, nesterov=True, weight_decay=5e-4))
        model.fit(train_pipeline(source), epochs=1000, callbacks=[NeighbourhoodCurriculum()])

    Reference: Huang et al., "Unsupervised Deep Learning by Neighbourhood Discovery", ICML 2019.
    """

    def __init__(
        self,
        encoder,
        num_samples,
        neighbourhood_size=1,
        temperature=0.1,
        rate=0.5,
        seed=None,
        logits_budget_mb=256,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not 1 <= neighbourhood_size < num_samples:
            raise ValueError(
                "neighbourhood_size must be at least 1 and smaller than the number of images. "
                f"Received neighbourhood_size={neighbourhood_size} for {num_samples} images."
            )
        self.encoder = encoder
        self.num_samples, self.neighbourhood_size = num_samples, neighbourhood_size
        self.seed, self.logits_budget_mb = seed, logits_budget_mb
        dim = encoder.output_shape[-1]
        self.bank = MemoryBank(num_samples, dim, rate, temperature, seed=seed, name="bank")
        self.neighbours = self._state("neighbours", (num_samples, neighbourhood_size), "int32")
        self.is_anchor = self._state("is_anchor", (num_samples,), "bool")
        self.entropy = self._state("entropy", (num_samples,), "float32")
        self.round = self._state("round", (), "int32")
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.built = True

    def _state(self, name, shape, dtype):
        return self.add_weight(
            name=name,
            shape=shape,
            dtype=dtype,
            initializer="zeros",
            trainable=False,
            autocast=False,
        )

    @property
    def metrics(self):
        return [self.loss_tracker]

    def compile(self, optimizer, jit_compile=False, **kwargs):
        """As `keras.Model.compile`. `jit_compile=True` compiles the forward and backward pass.

        The bank update stays outside of XLA, which would copy the whole bank for each scatter.
        """
        super().compile(optimizer=optimizer, jit_compile=False, **kwargs)
        self._compiled_gradients = tf.function(
            self._encoder_gradients, jit_compile=bool(jit_compile), reduce_retracing=True
        )

    def call(self, images, training=None):
        return self.encoder(images, training=training)

    def train_step(self, data):
        """One step on (images (B, H, W, 3), indices (B,)): gradients, encoder, then the bank."""
        images, indices = data
        # The optimizer sums the gradients of all replicas, so each divides by the global batch.
        global_batch = tf.distribute.get_replica_context().all_reduce("SUM", tf.shape(indices)[0])
        losses, embeddings, gradients = self._compiled_gradients(images, indices, global_batch)
        self.optimizer.apply(gradients, self.encoder.trainable_variables)
        self.bank.update(indices, embeddings)
        self.loss_tracker.update_state(losses)
        return {"loss": self.loss_tracker.result()}

    def _encoder_gradients(self, images, indices, global_batch):
        """Per-image losses (B,), embeddings (B, D) and the gradients of the encoder's variables."""
        with tf.GradientTape() as tape:
            embeddings = self.encoder(images, training=True)  # (B, D)
            losses = self._image_losses(embeddings, indices)  # (B,)
            loss = tf.reduce_sum(losses) / tf.cast(global_batch, tf.float32)
            loss = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(loss, self.encoder.trainable_variables)
        return losses, embeddings, gradients

    def _image_losses(self, embeddings, indices):
        neighbours = self.neighbours.value.sparse_read(indices)  # (B, k)
        is_anchor = self.is_anchor.value.sparse_read(indices)  # (B,)
        batch = embeddings.shape[0]
        if batch is None or 4 * batch * self.num_samples <= self.logits_budget_mb << 20:
            logits = self.bank.logits(embeddings)  # (B, N)
            return neighbourhood_loss(logits, indices, neighbours, is_anchor)
        rows, temperature = self.bank.rows, self.bank.temperature
        return bank_loss(embeddings, rows, indices, neighbours, is_anchor, temperature, BANK_BLOCK)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # Built since __init__. Keras would draw a batch to build the model under a strategy, and
        # with it use up an epoch of the pipeline.
        return

    def get_config(self):
        return {
            "name": self.name,
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "num_samples": self.num_samples,
            "neighbourhood_size": self.neighbourhood_size,
            "temperature": self.bank.temperature,
            "rate": self.bank.rate,
            "seed": self.seed,
            "logits_budget_mb": self.logits_budget_mb,
        }

    @classmethod
    def from_config(cls, config):
        encoder = keras.saving.deserialize_keras_object(config["encoder"])
        return cls(**(config | {"encoder": encoder}))
