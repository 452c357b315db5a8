"""The layers that all encoders consist of, initialised and padded as in PyTorch."""

import dataclasses
import math
import zlib
from collections.abc import Sequence

import keras
from keras import ops

# With fewer input channels than this, oneDNN's gradient of a strided 1 x 1 convolution writes out
# of bounds (oneDNN issue 6035), so such a convolution subsamples its input first.
ONEDNN_BLOCK = 16  # channels, with AVX-512


@dataclasses.dataclass(frozen=True)
class TorchLayers:
    """Keras layers with PyTorch's initialisation, padding and BatchNorm constants.

    Only built-in Keras layers are used, so that a saved `.keras` file loads without this package
    (`fuse_batch_norm` speeds up those of a model in training).

    Args:
        seed: int or None. The seed of each weight is derived from this one and the weight's name.
        synchronized_batch_norm: bool, whether BatchNorm statistics span all replicas.
    """

    seed: int | None = None
    synchronized_batch_norm: bool = False

    def convolution(
        self,
        x: keras.KerasTensor,
        filters: int,
        kernel_size: int,
        stride: int = 1,
        padding: int | None = None,
        use_bias: bool = False,
        name: str = "",
    ) -> keras.KerasTensor:
        """2-D convolution with symmetric zero padding, `kernel_size // 2` unless given."""
        padding = kernel_size // 2 if padding is None else padding
        if kernel_size == 1 and stride > 1 and x.shape[-1] < ONEDNN_BLOCK:
            x = keras.layers.MaxPooling2D(1, strides=stride, name=f"{name}_stride")(x)
            stride = 1
        # "same" avoids a copy of the padded map, but is asymmetric at strides above 1.
        is_same = stride == 1 and 2 * padding == kernel_size - 1
        if padding and not is_same:
            x = keras.layers.ZeroPadding2D(padding, name=f"{name}_pad")(x)
        fan_in = kernel_size * kernel_size * x.shape[-1]
        return keras.layers.Conv2D(
            filters,
            kernel_size,
            strides=stride,
            padding="same" if is_same else "valid",
            use_bias=use_bias,
            kernel_initializer=self._uniform(fan_in, f"{name}/kernel"),
            bias_initializer=self._uniform(fan_in, f"{name}/bias"),
            name=name,
        )(x)

    def dense(
        self, x: keras.KerasTensor, units: int, name: str, dtype: str | None = None
    ) -> keras.KerasTensor:
        """Fully connected layer with bias."""
        fan_in = x.shape[-1]
        return keras.layers.Dense(
            units,
            kernel_initializer=self._uniform(fan_in, f"{name}/kernel"),
            bias_initializer=self._uniform(fan_in, f"{name}/bias"),
            dtype=dtype,
            name=name,
        )(x)

    def batch_norm(self, x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        """BatchNorm with PyTorch's constants; its momentum 0.1 is called 0.9 in Keras.

        One difference remains: the moving variance here follows the biased variance of the batch,
        PyTorch's the unbiased one, larger by n / (n - 1) with n = batch x height x width.
        """
        return keras.layers.BatchNormalization(
            momentum=0.9,
            epsilon=1e-5,
            synchronized=self.synchronized_batch_norm,
            name=name,
        )(x)

    def relu(self, x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        return keras.layers.ReLU(name=name)(x)

    def max_pool(
        self, x: keras.KerasTensor, size: int, stride: int, padding: int = 0, name: str = ""
    ) -> keras.KerasTensor:
        """Max-pool of non-negative maps, for which padding with zeros is padding with -inf."""
        if padding:
            x = keras.layers.ZeroPadding2D(padding, name=f"{name}_pad")(x)
        return keras.layers.MaxPooling2D(size, strides=stride, name=name)(x)

    def average_pool(self, x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        """The mean over all positions: (B, H, W, C) to (B, C)."""
        return keras.layers.GlobalAveragePooling2D(name=name)(x)

    def flatten(self, x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        return keras.layers.Flatten(name=name)(x)

    def add(self, x: keras.KerasTensor, other: keras.KerasTensor, name: str) -> keras.KerasTensor:
        return keras.layers.Add(name=name)([x, other])

    def embedding(self, x: keras.KerasTensor, embedding_dim: int) -> keras.KerasTensor:
        """The head of every encoder: layer `fc`, then rows of unit length in layer `embedding`.

        In float32 under any policy, because the softmax over the bank has to tell near rows apart.
        """
        return unit_rows(self.dense(x, embedding_dim, name="fc", dtype="float32"))

    def _uniform(self, fan_in, weight_name):
        """Uniform in +-1/sqrt(fan_in), PyTorch's initialisation of kernels and biases."""
        seed = None if self.seed is None else zlib.crc32(f"{self.seed}/{weight_name}".encode())
        bound = 1 / math.sqrt(fan_in)
        return keras.initializers.RandomUniform(-bound, bound, seed=seed)


def unit_rows(x: keras.KerasTensor, name: str = "embedding") -> keras.KerasTensor:
    """Scales vectors (B, D) to unit length in float32: `embedding`, the last layer of an encoder.

    Made of operations that every export format has; keras.layers.UnitNormalization has a NaN
    gradient at the zero vector.
    """
    square_norm = ops.sum(ops.square(x), axis=-1, keepdims=True)  # (B, 1)
    x = x / ops.sqrt(ops.maximum(square_norm, 1e-24))  # (B, D)
    return keras.layers.Activation("linear", dtype="float32", name=name)(x)


def normalised_input(
    input_shape: tuple[int, int, int], mean: Sequence[float], std: Sequence[float]
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """An input for images in 0..255, and the same images minus `mean`, divided by `std`.

    Returns:
        (images, normalised), two keras tensors (B, H, W, C) in float32. The input casts uint8.
    """
    images = keras.Input(input_shape, dtype="float32", name="images")
    # float32 under any policy: half precision would round the pixels before they are centred.
    # Not keras.layers.Normalization, whose constants become extra inputs of an ONNX export.
    normalised = keras.layers.Rescaling(
        scale=[1 / channel_std for channel_std in std],
        offset=[-centre / channel_std for centre, channel_std in zip(mean, std, strict=True)],
        dtype="float32",
        name="normalise",
    )(images)
    return images, normalised


def in_float32(encoder: keras.Model) -> keras.Model:
    """The encoder itself, or a float32 copy if it has a mixed-precision policy."""
    if all(getattr(layer, "compute_dtype", "float32") == "float32" for layer in encoder.layers):
        return encoder

    def clone(layer):
        config = layer.get_config()
        if isinstance(layer, keras.layers.Layer):
            config["dtype"] = "float32"
        return type(layer).from_config(config)

    copy = keras.models.clone_model(encoder, clone_function=clone)
    copy.set_weights(encoder.get_weights())
    return copy
