"""Which image files are read: the endings of their names, and the readers of Pillow."""

from __future__ import annotations

import importlib.util

from PIL import Image, PngImagePlugin, TiffImagePlugin

# Only these: Pillow has other readers (EPS, PDF, ...), whose files are not photos.
READERS = {
    "JPEG": ("jpg", "jpeg", "jpe", "jfif", "mpo"),  # the first picture of an .mpo file
    "PNG": ("png", "apng"),
    "BMP": ("bmp",),
    "GIF": ("gif",),
    "WEBP": ("webp",),
    "TIFF": ("tif", "tiff"),
    "DIB": ("dib",),
    "JPEG2000": ("jp2", "j2k", "j2c", "jpc", "jpf", "jpx"),
    "PPM": ("ppm", "pgm", "pbm", "pnm"),
    "AVIF": ("avif", "avifs"),
    "HEIF": ("heic", "heics", "heif", "heifs", "hif"),
}
INSTALL = {"AVIF": "pip install 'pillow>=11.3'", "HEIF": "pip install pillow-heif"}

# Photos that cannot be read; other files among photos are nothing to worry about.
OTHER_PHOTOS = (
    *("3fr", "arw", "cr2", "cr3", "crw", "dng", "erf", "exr", "hdr", "ico", "jxl", "jxr", "kdc"),
    *("mrw", "nef", "nrw", "orf", "pcx", "pef", "pfm", "psb", "psd", "qoi", "raf", "raw", "rw2"),
    *("sr2", "srf", "srw", "svg", "tga", "x3f", "xcf"),
)

# Metadata is not used except for the orientation, but Pillow refuses an image with 1 MB of text.
PngImagePlugin.MAX_TEXT_CHUNK = max(PngImagePlugin.MAX_TEXT_CHUNK, 64 << 20)

# 16-bit grey where white is 0, which Pillow knows in only one byte order; `colours` inverts it.
TiffImagePlugin.OPEN_INFO.setdefault(
    (TiffImagePlugin.MM, 0, (1,), 1, (16,), ()), ("I;16B", "I;16B")
)


def _register() -> tuple[str, ...]:
    """Registers all readers that this installation has, and returns their names.

    Done at import, because decoding threads must not do it concurrently.
    """
    Image.init()
    if importlib.util.find_spec("pillow_heif") is not None:
        import pillow_heif

        pillow_heif.register_heif_opener(thumbnails=False)
    return tuple(name for name in READERS if name in Image.OPEN)


FORMATS = _register()
COMMON = ("jpg", "jpeg", "png", "bmp", "gif", "webp")  # named first in messages
EXTENSIONS = tuple(
    dict.fromkeys((*COMMON, *(ending for name in FORMATS for ending in READERS[name])))
)


def install_line(ending: str) -> str:
    """The command that installs a reader for files with this ending; empty if there is none."""
    return next((install_line_of(name) for name in INSTALL if ending in READERS[name]), "")


def install_line_of(reader: str) -> str:
    """The command that installs a reader; empty if it is installed, or if there is no command."""
    return "" if reader in FORMATS else INSTALL.get(reader, "")


def is_photo(ending: str) -> bool:
    """Whether files with this ending are photos of any kind."""
    return ending in OTHER_PHOTOS or any(ending in endings for endings in READERS.values())


def reader_of(start: bytes) -> str:
    """AVIF or HEIF if a file begins like one, else empty; they often have the ending of a JPEG."""
    if start[4:8] != b"ftyp":
        return ""
    brand = start[8:12]
    if brand in (b"avif", b"avis"):
        return "AVIF"
    return "HEIF" if brand in (b"heic", b"heix", b"hevc", b"hevx", b"mif1", b"msf1") else ""
