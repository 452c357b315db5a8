"""Opens an export of any format."""

from pathlib import Path

from and_tf.errors import BrokenFile, NotFound
from and_tf.export.exported_encoder import ExportedEncoder
from and_tf.export.formats import FORMATS
from and_tf.runs.places import expanded


def load_exported(path: Path | str, trust_model: bool = False) -> ExportedEncoder:
    """Opens any export for running.

    Args:
        path: a SavedModel directory, or a .keras, .onnx or .tflite file of `export_encoder`.
        trust_model: open a SavedModel, which is a program, even if its files are not those that
            `export_encoder` wrote.

    Returns:
        An `ExportedEncoder`.

    Raises:
        NotFound: if the path does not exist.
        BrokenFile: if it is corrupt or not an encoder of this package; no code from it is run.
        MissingPackage: for ONNX, if onnxruntime is not installed.
    """
    path = expanded(path)
    if not path.exists():
        raise NotFound(f"{path} does not exist: name the folder of a run, or an exported encoder.")
    is_file = path.is_file()  # reading a pipe would hang
    for form in FORMATS.values():
        if (is_file and form.suffix == path.suffix) or (path.is_dir() and not form.suffix):
            return form.read(path) if is_file else form.read(path, trust_model)
    suffixes = ", ".join(form.suffix for form in FORMATS.values() if form.suffix)
    raise BrokenFile(
        f"{path} is not an exported encoder: expected a SavedModel directory or a file ending in "
        f"{suffixes}."
    )
