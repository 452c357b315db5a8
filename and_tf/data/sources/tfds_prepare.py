"""TensorFlow Datasets: imported when needed, without its log lines, and prepared if necessary."""

import contextlib
import difflib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from and_tf.errors import Argument, MissingPackage, NotFound, UserError

logger = logging.getLogger(__name__)


def tfds_builder(name: str, data_dir: str | Path | None) -> Any:
    """The builder of a data set, which is prepared if necessary.

    A data set that is already prepared is opened without network access.
    """
    tfds = import_tfds()
    data_dir = os.path.expanduser(data_dir) if data_dir else None
    try:
        with quiet_logs():
            builder = tfds.builder(name, data_dir=data_dir)
            is_prepared = builder.is_prepared()
    except tfds.core.registered.DatasetNotFoundError as error:
        known = tfds.list_builders(with_community_datasets=False)  # the others need the network
        close = difflib.get_close_matches(name.partition("/")[0], known, n=3)
        hint = f"did you mean {', '.join(close)}?" if close else "see tfds.list_builders()."
        raise NotFound(
            "TFDS knows no data set of that name: ", Argument("data", f"tfds:{name}"), f": {hint}"
        ) from error
    except Exception as error:
        raise tfds_error("open", name, data_dir, error) from error
    if not is_prepared:
        _prepare(builder, name, data_dir)
    return builder


def _prepare(builder: Any, name: str, data_dir: str | None) -> None:
    logger.info("tfds:%s is not prepared in %s: downloading it.", name, builder.data_path)
    if not sys.stderr.isatty():
        import_tfds().disable_progress_bar()
    try:
        with quiet_logs():
            builder.download_and_prepare()
    except Exception as error:
        raise tfds_error("download and prepare", name, data_dir, error) from error


def tfds_error(action: str, name: str, data_dir: str | Path | None, error: Exception) -> UserError:
    """The error of a data set that cannot be opened, prepared or read."""
    reason = (str(error).strip() or type(error).__name__).partition("\n")[0]
    return UserError(
        f"Cannot {action} ",
        Argument("data", f"tfds:{name}"),
        " with ",
        Argument("data_dir", str(data_dir or "~/tensorflow_datasets")),
        f" ({reason}): name the folder that holds it, or prepare it where there is a connection, "
        f"with `tfds build {name}`, and copy the folder.",
    )


def import_tfds() -> Any:
    """TensorFlow Datasets, imported at first use because that is slow, without its log lines."""
    try:
        with quiet_logs():
            import tensorflow_datasets as tfds

            _ = tfds.core, tfds.features, tfds.decode  # imported at first use
    except ImportError as error:
        raise MissingPackage(
            f"{error}: tfds:NAME and splits in TFDS notation need "
            "`pip install tensorflow-datasets importlib_resources`"
        ) from error
    return tfds


@contextlib.contextmanager
def quiet_logs() -> Iterator[None]:
    """A context in which the loggers of absl and urllib3 log only errors."""
    loggers = [logging.getLogger(name) for name in ("absl", "urllib3")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
