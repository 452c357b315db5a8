"""The snippets of docs/exports.md give the embeddings of embed.py, without this package."""

import importlib.util
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from helpers.image_files import encoded, exif, photo, transparent_photo
from helpers.pages import ROOT, code_blocks

from and_tf import export
from and_tf.collection.encoder import embed_source
from and_tf.data.sources.folder import open_folder
from and_tf.export.metadata import path_beside
from and_tf.export.run import export_path
from and_tf.runs.workdir import Workdir

HAS_RUNTIME = importlib.util.find_spec("ai_edge_litert") is not None
WITHOUT = {  # packages that a snippet has to do without
    "ONNX": ["and_tf", "keras", "tensorflow", "scipy"],
    "LiteRT": ["and_tf", *(["keras", "tensorflow"] if HAS_RUNTIME else [])],
    "Keras": ["and_tf", "onnxruntime"],
    "SavedModel": ["and_tf", "PIL", "onnxruntime"],
}
BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, *others):
        if name.partition(".")[0] in {names}:
            raise ImportError(name + " is not installed here")

sys.meta_path.insert(0, Blocked())
"""


@pytest.fixture(scope="module")
def place(exports_of_colours, tmp_path_factory):
    """A folder with ten photos of several kinds, and exports of an encoder."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "photos").mkdir()
    files = {
        **{f"{n}.jpg": encoded(photo((400 + 90 * n, 560), seed=n), "JPEG") for n in range(4)},
        "4.jpg": encoded(photo((640, 480), seed=4), "JPEG", exif=exif(6)),
        "5.jpg": encoded(photo((131, 90), seed=5), "JPEG", exif=exif(3)),
        "6.jpg": encoded(photo((300, 200), "L", seed=6), "JPEG"),
        "7.png": encoded(transparent_photo(7), "PNG"),
        "8.png": encoded(photo((90, 61), seed=8).quantize(16), "PNG"),
        "9.jpg": encoded(photo((32, 32), seed=9), "JPEG"),
    }
    for name, content in files.items():
        (folder / "photos" / name).write_bytes(content)
    for form in ("savedmodel", "keras", "onnx", "litert"):
        path = export_path(Workdir(folder / "runs" / "photos"), form)
        path.parent.mkdir(parents=True, exist_ok=True)
        exported = exports_of_colours[form]
        (shutil.copytree if exported.is_dir() else shutil.copy)(exported, path)
        if not exported.is_dir():
            shutil.copy(path_beside(exported), path_beside(path))
    return folder


def blocks(*headings):
    """The Python of some sections of the page."""
    sections = (ROOT / "docs" / "exports.md").read_text().split("\n## ")
    found = [s for heading in headings for s in sections if s.startswith(f"{heading}\n")]
    assert len(found) == len(headings)
    return "\n".join(block.code for s in found for block in code_blocks(s, "python"))


@pytest.mark.parametrize("format", WITHOUT)
def test_a_snippet_gives_the_embeddings_of_embed(place, format):
    prepares = ["Prepare an image"] if format != "SavedModel" else []
    prepare = blocks(*prepares, "Paths")
    check = blocks("Check your preparation") if format == "ONNX" else ""
    save = f"np.save('{format}.npy', embeddings)"
    blocked = BLOCKED.replace("{names}", repr(set(WITHOUT[format])))
    program = "\n".join([blocked, prepare, blocks(format), check, "import numpy as np", save])
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    subprocess.run([sys.executable, "-c", program], check=True, cwd=place, env=environment)

    source = open_folder(place / "photos")
    exported = export.load_exported(place / "runs" / "photos" / "export" / "encoder.keras")
    expected = embed_source(exported, source, batch_size=4)
    found = np.load(place / f"{format}.npy")
    assert found.shape == expected.shape == (10, 16)
    assert (found * expected).sum(axis=1).min() > 0.9999
