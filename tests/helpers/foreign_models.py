"""Models that no program of ours has written, or that were corrupted since."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf


def keras_model(input_shape=(16, 16, 3), outputs=1, name="model.keras"):
    """Makes a Keras model that is no encoder, or hardly one."""

    def make(here, world):
        images = keras.Input(input_shape)
        pooled = keras.layers.GlobalAveragePooling2D()(images)
        found = [keras.layers.Dense(4)(pooled) for _ in range(outputs)]
        keras.Model(images, found if outputs > 1 else found[0]).save(here / name)

    return make


def lambda_model(here, world):
    """A Keras model with Python code inside, which makes a file when it runs."""
    marker = str(here / "executed")
    code = keras.layers.Lambda(lambda x: (open(marker, "w").close(), x)[1])
    images = keras.Input((16, 16, 3))
    model = keras.Model(images, keras.layers.GlobalAveragePooling2D()(code(images)))
    model.save(here / "model.keras")
    Path(marker).unlink(missing_ok=True)


def foreign_savedmodel(here, world):
    module = tf.Module()
    module.double = tf.function(lambda x: 2 * x, input_signature=[tf.TensorSpec((None,))])
    tf.saved_model.save(module, str(here / "model"))


def savedmodel(**description):
    """Makes our SavedModel with another description; None takes a key out."""

    def make(here, world):
        shutil.copytree(world / "run" / "export" / "encoder", here / "model")
        path = here / "model" / "assets.extra" / "encoder.json"
        told = json.loads(path.read_text()) | description
        path.write_text(json.dumps({k: v for k, v in told.items() if v is not None}))

    return make


def savedmodel_without_weights(here, world):
    savedmodel()(here, world)
    shutil.rmtree(here / "model" / "variables")


def onnx_model(shape, dtype="UINT8"):
    """Makes an ONNX model whose names are those of our encoders."""

    def make(here, world):
        from onnx import TensorProto, helper, save

        kind = getattr(TensorProto, dtype)
        model = helper.make_model(
            helper.make_graph(
                [helper.make_node("Cast", ["images"], ["embeddings"], to=TensorProto.FLOAT)],
                "graph",
                [helper.make_tensor_value_info("images", kind, shape)],
                [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, shape)],
            ),
            opset_imports=[helper.make_opsetid("", 13)],
        )
        model.ir_version = 8
        save(model, str(here / "model.onnx"))

    return make


def truncated_export(here, world):
    content = (world / "run" / "export" / "encoder.keras").read_bytes()
    (here / "model.keras").write_bytes(content[: len(content) // 2])


def diverged_export(here, world):
    """Our encoder with weights that are no numbers."""
    encoder = keras.saving.load_model(world / "run" / "export" / "encoder.keras", compile=False)
    encoder.set_weights([np.full_like(weight, np.nan) for weight in encoder.get_weights()])
    encoder.save(here / "model.keras")
