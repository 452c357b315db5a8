"""Settings of Keras that a user's environment may change, and those that this package needs."""

import os
import sys

from and_tf.errors import UserError

BACKEND = "tensorflow"
FORMAT = "channels_last"
LIMITS = ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH")  # would end `fit` early


def check_backend() -> None:
    """Refuses another backend before Keras is loaded.

    Raises:
        UserError: if the environment, or a Keras that is already loaded, has another backend.
    """
    found = os.environ.get("KERAS_BACKEND") or BACKEND
    config = getattr(sys.modules.get("keras"), "config", None)
    if config is not None:
        found = config.backend()
    if found != BACKEND:
        raise UserError(
            f"Keras is set to run on {found}, and this package needs {BACKEND}: unset "
            f"KERAS_BACKEND, or set it to {BACKEND} before Keras is loaded."
        )


def check_image_format() -> None:
    """Refuses to build layers for images with channels first.

    Raises:
        UserError: if Keras is set to that; names the remedy.
    """
    import keras

    found = keras.config.image_data_format()
    if found != FORMAT:
        raise UserError(
            f"Keras is set to {found} images, and these are {FORMAT}: call "
            f'keras.config.set_image_data_format("{FORMAT}"), or correct keras.json.'
        )


def load_keras() -> None:
    """Loads Keras for a program, with Keras's defaults whatever the user's keras.json says.

    Raises:
        UserError: if Keras does not accept that file.
    """
    for name in LIMITS:
        os.environ.pop(name, None)
    try:
        import keras
    except (AttributeError, TypeError, ValueError) as error:
        home = os.environ.get("KERAS_HOME") or os.path.join("~", ".keras")
        path = os.path.join(os.path.expanduser(home), "keras.json")
        if not os.path.exists(path):
            raise
        raise UserError(f"Keras cannot read {path} ({error}): correct or remove it.") from error
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format(FORMAT)
    keras.config.set_dtype_policy("float32")
