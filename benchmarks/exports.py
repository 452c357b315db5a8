"""How close each format of exports comes to its encoder: python -m benchmarks.exports --model=MODEL

    python -m benchmarks.exports --model=efficientnet_lite0.keras --photos=clothing/train

128 photos give the ranges of int8, 256 others are compared. For float32 the largest difference of
an embedding's value is printed, else cosines and how often the nearest other photo is the same.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from and_tf.data.sources.folder import open_folder
from and_tf.data.subsets import evenly_spaced
from and_tf.encoders.pretrained import open_pretrained
from and_tf.export import FORMATS, export_encoder
from and_tf.export.samples import NUM_CALIBRATION, NUM_COMPARED
from and_tf.export.verification import measure_agreement, verify_export


def main(argv: list[str] | None = None) -> None:
    options = _options(argv)
    encoder = open_pretrained(options.model)
    source = open_folder(options.photos)
    rows = np.asarray(evenly_spaced(len(source), NUM_CALIBRATION + NUM_COMPARED))
    images = source.load(rows, encoder.input_shape[1])  # (n, side, side, 3) uint8
    is_calibration = np.arange(len(images)) % 3 == 0
    print("| format | MB | agreement |\n|---|---|---|")
    for name in options.formats.split(","):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"encoder{FORMATS[name].suffix}")
            export_encoder(encoder, path, name, images[is_calibration])
            agreement = _agreement(encoder, path, name, images[~is_calibration])
            print(f"| `{name}` | {_bytes(path) / 1e6:.1f} | {agreement} |", flush=True)


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="as in embed.py")
    parser.add_argument("--photos", type=Path, required=True, help="folder of photos")
    parser.add_argument("--formats", default=",".join(FORMATS))
    return parser.parse_args(argv)


def _agreement(encoder, path: Path, name: str, images: np.ndarray) -> str:
    if FORMATS[name].min_cosine is None:
        return f"equal within {verify_export(encoder, path, name, images[:8]):.1g}"
    return str(measure_agreement(encoder, path, images))


def _bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


if __name__ == "__main__":
    main()
