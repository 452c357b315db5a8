"""Files that are broken beside their pixels are read; those that lack pixels are not."""

import io
import logging
import subprocess
import sys
import zlib

import numpy as np
import pytest
from helpers.encoded import chunk, encoded, gradient, noisy, with_chunk
from helpers.pictures import error_of
from PIL import Image

from and_tf.data.decode import header_shape, load_image, load_square
from and_tf.data.sources.opening import open_source
from and_tf.errors import BrokenImage

TEXT = b"tEXtComment"


@pytest.mark.parametrize(
    "kind, data",
    [
        (b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * (2 << 20))),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"b" * (2 << 20))),
        (b"iCCP", b"profile\0\0" + zlib.compress(b"c" * (2 << 20))),
        (b"tEXt", b"Comment\0" + b"d" * (3 << 20)),
        (b"zTXt", b"Comment\0\0" + zlib.compress(b"e" * (80 << 20))),
    ],
)
def test_a_png_with_much_metadata_is_read(kind, data):
    image = gradient(20, 12)
    content = with_chunk(encoded(image), chunk(kind, data))
    np.testing.assert_array_equal(load_image(content), image)
    assert header_shape(content) == (12, 20)


def test_a_wrong_checksum_of_metadata_is_read_and_named(tmp_path, caplog):
    image = gradient(20, 12)
    content = with_chunk(encoded(image), chunk(b"tEXt", b"Comment\0text", checksum_error=1))
    (tmp_path / "a").mkdir()
    (tmp_path / "a/1.png").write_bytes(content)
    with caplog.at_level(logging.WARNING):
        source = open_source(f"folder:{tmp_path}")
        np.testing.assert_array_equal(source.load([0, 0], 12)[1], load_square(encoded(image), 12))
    (message,) = [r.message for r in caplog.records if "is read, but" in r.message]
    assert message.startswith(str(tmp_path / "a/1.png")) and "tEXt" in message


def test_orientation_is_kept_beside_a_wrong_checksum():
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encoded(gradient(20, 12), exif=exif)
    broken = with_chunk(content, chunk(b"tEXt", b"Comment\0text", checksum_error=1))
    np.testing.assert_array_equal(load_image(broken), load_image(content))


@pytest.mark.parametrize("kind", [b"IHDR", b"PLTE"])
def test_a_wrong_checksum_of_what_pixels_need_is_refused(kind):
    content = bytearray(encoded(gradient(20, 12).quantize(16)))
    length = int.from_bytes(content[content.index(kind) - 4 : content.index(kind)], "big")
    content[content.index(kind) + 4 + length] ^= 1
    assert "cannot decode" in error_of(load_image, bytes(content))


JPEGS = [
    {"progressive": progressive, "subsampling": subsampling, **restarts}
    for progressive in (False, True)
    for subsampling in (0, 2)
    for restarts in ({}, {"restart_marker_rows": 1}, {"restart_marker_blocks": 1})
]


@pytest.mark.parametrize("options", JPEGS, ids=str)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_without_its_end_marker_is_read_and_one_without_pixels_is_not(mode, options):
    content = encoded(noisy(100, 60).convert(mode), "JPEG", quality=80, **options)
    assert content.endswith(b"\xff\xd9")
    expected, reduced = np.asarray(load_image(content)), load_square(content, 8)
    for cut in (1, 2):
        np.testing.assert_array_equal(load_image(content[:-cut]), expected)
        np.testing.assert_array_equal(load_square(content[:-cut], 8), reduced)
    for cut in (4, 5, 7, 10, 20, 50, 200):
        try:
            found = load_image(content[:-cut])
        except BrokenImage as error:
            assert "truncated" in str(error)
        else:  # codes of nothing, as the last ones of an empty channel
            assert mode == "CMYK"
            np.testing.assert_array_equal(found, expected)
    assert "truncated" in error_of(load_image, content[: len(content) // 2])


def test_a_progressive_jpeg_that_ends_with_an_early_scan_is_refused():
    content = encoded(noisy(100, 60), "JPEG", quality=80, progressive=True)
    scans = [at for at in range(len(content)) if content[at : at + 2] == b"\xff\xda"]
    tables = [at for at in range(len(content)) if content[at : at + 2] == b"\xff\xc4"]
    for scan in scans[1:]:
        start = max(table for table in [*tables, *scans] if table <= scan)
        start = start if start in tables and start > max(s for s in scans if s < scan) else scan
        with Image.open(io.BytesIO(content[:start] + b"\xff\xd9")) as image:
            image.load()  # with its end marker Pillow takes it
        assert "truncated" in error_of(load_image, content[:start])


def test_a_flat_jpeg_is_read_only_if_it_is_complete():
    flat = Image.new("RGB", (64, 64), (90, 90, 90))
    content = encoded(flat, "JPEG")
    np.testing.assert_array_equal(load_image(content[:-2]), load_image(content))
    assert "truncated" in error_of(load_image, content[:-12])


def test_a_jpeg_without_its_end_marker_is_named_once(tmp_path, caplog):
    (tmp_path / "1.jpg").write_bytes(encoded(noisy(100, 60), "JPEG")[:-2])
    with caplog.at_level(logging.WARNING):
        source = open_source(f"folder:{tmp_path}", skip_broken=True)
        source.load([0, 0, 0], 32)
    (message,) = [record.message for record in caplog.records]
    assert message.startswith(str(tmp_path / "1.jpg")) and "end marker" in message


def test_warnings_of_pillow_name_the_file(tmp_path):
    image = gradient(20, 12).quantize(4)
    image.save(tmp_path / "1.gif")
    code = (
        "import warnings, logging; logging.basicConfig()\n"
        "from and_tf.data import decode\n"
        "from PIL import Image\n"
        "def work(image):\n"
        "    eval(compile(\"import warnings; warnings.warn('odd palette', stacklevel=1)\", "
        "'x', 'exec'), {'__name__': 'PIL.Image'})\n"
        "for name in ('1.gif', '2.gif', '2.gif'):\n"
        "    with decode.naming_image(name):\n"
        "        work(None)\n"
        "warnings.warn('of the user')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path,
        env={"PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert done.stderr.count("1.gif: odd palette") == 1, done.stderr
    assert done.stderr.count("2.gif: odd palette") == 1
    assert "UserWarning: of the user" in done.stderr
