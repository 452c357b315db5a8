"""AND as a Keras model: `fit` trains the encoder against the memory bank."""

import keras
import tensorflow as tf

from and_tf.encoders.fused_batch_norm import fuse_batch_norm
from and_tf.losses import bank_loss, neighbourhood_loss
from and_tf.memory_bank import MemoryBank, read_rows

BANK_BLOCK = 16_384  # rows compared at once where the (B, N) logits would exceed their budget


NOT_FINITE = "The loss or its gradient is not finite."


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
        logits_budget_mb=64,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not 1 <= neighbourhood_size < num_samples:
            raise ValueError(
                "neighbourhood_size must be at least 1 and smaller than the number of images. "
                f"Received neighbourhood_size={neighbourhood_size} for {num_samples} images."
            )
        self.encoder = encoder
        fuse_batch_norm(encoder)
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

        Raises:
            ValueError: if `jit_compile` is asked for on several replicas.
        """
        replicas = self.distribute_strategy.num_replicas_in_sync
        if jit_compile and replicas > 1:
            raise ValueError(
                f"jit_compile={jit_compile} works on one replica only. Received a strategy with "
                f"{replicas} replicas: pass jit_compile=False."
            )
        super().compile(optimizer=optimizer, jit_compile=False, **kwargs)
        with self.distribute_strategy.scope():  # a replica cannot make the optimizer's variables
            self.optimizer.build(self.trainable_variables)
        self._compiled_gradients = self._encoder_gradients
        if jit_compile:
            self._compiled_gradients = tf.function(
                self._encoder_gradients, jit_compile=True, reduce_retracing=True
            )
        self._compile_config.config["jit_compile"] = jit_compile

    def compile_from_config(self, config):
        # Keras leaves a loaded model uncompiled where `compile` is overridden.
        self.compile(**keras.saving.deserialize_keras_object(config))

    def call(self, images, training=None):
        return self.encoder(images, training=training)

    def train_step(self, data):
        """One step on (images (B, H, W, 3), indices (B,)): gradients, encoder, then the bank."""
        images, indices, _ = keras.utils.unpack_x_y_sample_weight(data)
        # Keras runs a step into the end of data of unknown length, where the optimizer's counter,
        # which needs no data, would count it.
        with tf.control_dependencies([indices]):
            # The optimizer sums the gradients of all replicas, so each divides by the global batch.
            context = tf.distribute.get_replica_context()
            global_batch = context.all_reduce("SUM", tf.cast(tf.shape(indices)[0], tf.float32))
            losses, embeddings, gradients = self._compiled_gradients(images, indices, global_batch)
        # One NaN would spread from a row of the bank to all weights: it stops before it is applied.
        is_finite = tf.math.is_finite(tf.reduce_sum(losses) + tf.linalg.global_norm(gradients))
        is_sound = tf.debugging.Assert(is_finite, [NOT_FINITE])
        with tf.control_dependencies([is_sound] if is_sound is not None else []):
            self.optimizer.apply(gradients, self.encoder.trainable_variables)
            self.bank.update(indices, embeddings)
            self.loss_tracker.update_state(losses)
            return {"loss": self.loss_tracker.result()}

    def _encoder_gradients(self, images, indices, global_batch):
        """Per-image losses (B,), embeddings (B, D) and the gradients of the encoder's variables."""
        with tf.GradientTape() as tape:
            embeddings = self.encoder(images, training=True)  # (B, D)
        losses, pull = self._losses_and_pull(embeddings, indices, global_batch)
        gradients = tape.gradient(embeddings, self.encoder.trainable_variables, pull)
        return losses, embeddings, gradients

    def _losses_and_pull(self, embeddings, indices, global_batch):
        """Per-image losses (B,) and the gradient (B, D) of their mean at the embeddings."""
        neighbours = read_rows(self.neighbours.value, indices)  # (B, k)
        is_anchor = read_rows(self.is_anchor.value, indices)  # (B,)
        rows, temperature = self.bank.rows, self.bank.temperature

        def with_pull(image_losses):
            with tf.GradientTape() as tape:
                tape.watch(embeddings)
                losses = image_losses()  # (B,)
                loss = tf.reduce_sum(losses) / global_batch
                loss = self.optimizer.scale_loss(loss)
            return losses, tape.gradient(loss, embeddings)

        def at_once():
            logits = self.bank.logits(embeddings)  # (B, N)
            return neighbourhood_loss(logits, indices, neighbours, is_anchor)

        def in_blocks():
            return bank_loss(
                embeddings, rows, indices, neighbours, is_anchor, temperature, BANK_BLOCK
            )

        # Decided while it runs: a pipeline whose last batch is smaller gives batches of size None.
        largest_batch = int(self.logits_budget_mb * 2**20) // (4 * self.num_samples)
        return tf.cond(
            tf.shape(indices)[0] <= largest_batch,
            lambda: with_pull(at_once),
            lambda: with_pull(in_blocks),
        )

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
        encoder = keras.saving.deserialize_keras_object(config.pop("encoder"))
        return cls(encoder, **config)
