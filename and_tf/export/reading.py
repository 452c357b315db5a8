"""Opening an export, whatever its format."""

from pathlib import Path

from and_tf.errors import BrokenFile, NotFound
from and_tf.export.exported_encoder import ExportedEncoder
from and_tf.export.formats import FORMATS
from and_tf.runs.places import expanded


def load_exported(path: Path | str, trust_model: bool = False) -> ExportedEncoder:
    """Opens any export for running.

    Args:
        path: a SavedModel directory, or a .keras, .onnx or .tflite file of `export_encoder`.
        trust_model: open a SavedModel, which is a program, though its files are not those that
            `export_encoder` wrote.

    Returns:
        An `ExportedEncoder`.

    Raises:
        NotFound: if there is none.
        BrokenFile: if it is corrupt or not an encoder of ours; no code of it is run.
        MissingPackage: for ONNX without onnxruntime.
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
