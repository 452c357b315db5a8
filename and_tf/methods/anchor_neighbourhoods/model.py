"""AND as a Keras model: `fit` trains the encoder against the memory bank."""

import keras
import tensorflow as tf

from and_tf.bank.memory_bank import MemoryBank, read_rows
from and_tf.encoders.fused_batch_norm import fuse_batch_norm
from and_tf.methods.anchor_neighbourhoods.loss import bank_loss

BANK_BLOCK = 16_384  # rows compared at once where the (B, N) logits would exceed their budget


NOT_FINITE = "The loss or its gradient is not finite."
LOWEST_LOSS_SCALE = 1.0  # a gradient of float16 that overflows even at this scale is no number


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
            runs over the bank in blocks (`losses.bank_loss`). Their exponentials take as much.

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
        # Not int32, which TensorFlow keeps on the host: XLA could not read it on a GPU.
        self.neighbours = self._state("neighbours", (num_samples, neighbourhood_size), "int64")
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

    def compile(self, optimizer, jit_compile=False, views=None, **kwargs):
        """As `keras.Model.compile`, with two arguments of its own.

        Under the policy `mixed_float16` Keras wraps the optimizer in a `LossScaleOptimizer`.

        Args:
            optimizer: a Keras optimizer, such as `TorchSGD`.
            jit_compile: compile the step with XLA: all but the writing of the bank's rows, for
                which XLA would copy the whole bank.
            views: function (what the pipeline sends, indices (B,)) to images (B, H, W, 3), run
                within the step, on its device (`data.views`); by default images are sent.

        Raises:
            ValueError: if `jit_compile`, several steps in an execution or mixed_float16 are asked
                for on several replicas.
        """
        strategy = self.distribute_strategy
        replicas = strategy.num_replicas_in_sync
        if jit_compile and (replicas > 1 or isinstance(strategy, tf.distribute.MirroredStrategy)):
            raise ValueError(
                f"jit_compile={jit_compile} works without a strategy only. Received a strategy "
                f"with {replicas} replica(s): pass jit_compile=False (--jit_compile=off)."
            )
        if kwargs.get("steps_per_execution", 1) > 1 and replicas > 1:  # TensorFlow's loop fails
            raise ValueError(
                f"steps_per_execution={kwargs['steps_per_execution']} works on one replica only. "
                f"Received a strategy with {replicas} replicas: pass steps_per_execution=1 "
                "(--steps_per_execution=1)."
            )
        super().compile(optimizer=optimizer, jit_compile=False, **kwargs)
        self._scales_loss = isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer)
        if self._scales_loss and replicas > 1:
            raise ValueError(
                f"mixed_float16 scales the loss on one replica only. Received a strategy with "
                f"{replicas} replicas: use mixed_bfloat16 or float32 "
                "(--precision=mixed_bfloat16)."
            )
        with self.distribute_strategy.scope():  # a replica cannot make the optimizer's variables
            if not self.optimizer.built:
                self.optimizer.build(self.trainable_variables)
        self._views = views or (lambda images, indices: images)
        self._compiled_step = None
        if jit_compile:
            self._is_sound = tf.Variable(True, trainable=False)
            self._compiled_step = tf.function(
                self._gated_step, jit_compile=True, reduce_retracing=True
            )
        self._compile_config.config["jit_compile"] = jit_compile

    def compile_from_config(self, config):
        # Keras leaves a loaded model uncompiled where `compile` is overridden.
        self.compile(**keras.saving.deserialize_keras_object(config))

    def call(self, images, training=None):
        return self.encoder(images, training=training)

    def train_step(self, data):
        """One step on (images (B, H, W, 3), indices (B,)): gradients, encoder, then the bank.

        A step whose loss or gradient is not finite ends `fit` with an `InvalidArgumentError` and
        changes nothing but, where it is not compiled, BatchNorm's averages. Under loss scaling a
        gradient that overflowed leaves encoder and momenta alone and halves the scale; such a step
        counts as one.
        """
        inputs, indices, _ = keras.utils.unpack_x_y_sample_weight(data)
        # Keras runs a step into the end of data of unknown length, where the optimizer's counter,
        # which needs no data, would count it.
        with tf.control_dependencies([indices]):
            if self._compiled_step is None:
                embeddings, _ = self._step(inputs, indices)
                self.bank.update(indices, embeddings)
            else:
                self.bank.write(indices, self._compiled_step(inputs, indices))
            return {"loss": self.loss_tracker.result()}

    def _gated_step(self, inputs, indices):
        """`_step` for XLA, which knows no assertions: new rows (B, D) of the bank, to be written.

        Nothing waits for the host. A step that is not sound, and all after it, puts back what it
        found; `make_train_function` raises once the device has ended what it was given.
        """
        state = [*self.encoder.variables, *self.optimizer.variables, *self.loss_tracker.variables]
        before = [tf.identity(variable.value) for variable in state]
        embeddings, is_finite = self._step(inputs, indices)
        is_sound = tf.logical_and(self._is_sound, is_finite)
        self._is_sound.assign(is_sound)
        for variable, value in zip(state, before, strict=True):
            variable.assign(tf.where(is_sound, variable.value, value))
        rows = read_rows(self.bank.rows.value, indices)  # (B, D)
        return tf.where(is_sound, self.bank.moved(rows, embeddings), rows)

    def _step(self, inputs, indices):
        """Applies the gradients: embeddings (B, D) from before, and whether the step was sound."""
        # The optimizer sums the gradients of all replicas, so each divides by the global batch.
        context = tf.distribute.get_replica_context()
        global_batch = context.all_reduce("SUM", tf.cast(tf.shape(indices)[0], tf.float32))
        images = self._views(inputs, indices)
        losses, embeddings, gradients = self._encoder_gradients(images, indices, global_batch)
        is_sound = self._is_finite(losses, gradients)
        # One NaN would spread from a row of the bank to all weights: it stops before it is applied.
        is_gated = self._compiled_step is not None
        checks = [] if is_gated else [tf.debugging.Assert(is_sound, [NOT_FINITE])]
        with tf.control_dependencies(checks):
            self._apply(gradients)
            self.loss_tracker.update_state(losses)
            return tf.identity(embeddings), is_sound

    def _is_finite(self, losses, gradients):
        are_finite = tf.math.is_finite(tf.linalg.global_norm(gradients))
        if self._scales_loss:
            are_finite |= self.optimizer.dynamic_scale.value > LOWEST_LOSS_SCALE
        return tf.math.is_finite(tf.reduce_sum(losses)) & are_finite

    def _apply(self, gradients):
        iterations = self.optimizer.iterations
        step = tf.identity(iterations.value)
        self.optimizer.apply(gradients, self.encoder.trainable_variables)
        if self._scales_loss:
            # A step that is skipped counts: data, learning rate and rounds follow the counter.
            iterations.assign(step + 1)

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
        # Whole, the bank would be copied; XLA reads it where it lies.
        rows = self.bank.rows if self._compiled_step is None else self.bank.rows.value.read_value()
        with tf.GradientTape() as tape:
            tape.watch(embeddings)
            losses = bank_loss(
                embeddings,
                rows,
                indices,
                neighbours,
                is_anchor,
                self.bank.temperature,
                block_size=self.rows_at_once(tf.shape(indices)[0]),
            )
            loss = self.optimizer.scale_loss(tf.reduce_sum(losses) / global_batch)
        return losses, tape.gradient(loss, embeddings)

    def rows_at_once(self, batch_size: int | tf.Tensor) -> tf.Tensor:
        """Rows of the bank that a step compares at once with so many images: a scalar int32.

        All N where their logits fit the budget, else blocks that do, of at most `BANK_BLOCK` rows:
        larger ones would not stay in a processor's cache.
        """
        images = tf.maximum(tf.cast(batch_size, tf.int64), 1)  # a replica may be left without any
        fitting = tf.minimum(int(self.logits_budget_mb * 2**18) // images, self.num_samples)
        fitting = tf.cast(fitting, tf.int32)
        block = tf.clip_by_value(fitting, 1, BANK_BLOCK)
        return tf.where(fitting >= self.num_samples, self.num_samples, block)

    def make_train_function(self, force=False):
        if self.train_function is None or force:
            super().make_train_function(force)
            if self._compiled_step is not None:
                self.train_function = self._stopping(self.train_function)
        return self.train_function

    def _stopping(self, run):
        """`run`, which is one execution of steps, with an error where one was not sound."""

        def stopping(iterator):
            logs = run(iterator)
            if not self._is_sound.numpy():
                self._is_sound.assign(True)
                raise tf.errors.InvalidArgumentError(None, None, NOT_FINITE)
            return logs

        return stopping

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
