"""Encoded images, made byte by byte where no library writes what people have."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def encoded(image, file_format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def gradient(width, height):
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, (x + y) / 2], axis=-1).astype(np.uint8))


def noisy(width, height):
    """An image of which each byte of a JPEG tells something."""
    pixels = np.array(gradient(width, height))
    pixels[..., 2] = np.random.default_rng(0).integers(0, 256, pixels.shape[:2])
    return Image.fromarray(pixels)


def chunk(kind, data, checksum_error=0):
    checksum = zlib.crc32(kind + data) ^ checksum_error
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def png(width, bits, colour_type, rows, *more):
    """A PNG of packed rows of pixels; `more` are chunks before them."""
    header = struct.pack(">IIBBBBB", width, len(rows), bits, colour_type, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    chunks = [chunk(b"IHDR", header), *more, chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    return PNG_SIGNATURE + b"".join(chunks)


def with_chunk(content, added):
    """A PNG with a chunk after its header."""
    end = len(PNG_SIGNATURE) + 25
    return content[:end] + added + content[end:]


def bmp(width, height, bits, rows, palette, compression=0):
    """A BMP with a palette of (n, 3) RGB; rows from the bottom, padded to 4 bytes, or RLE."""
    colours = b"".join(bytes([blue, green, red, 0]) for red, green, blue in palette)
    start = 14 + 40 + len(colours)
    info = (40, width, height, 1, bits, compression, len(rows), 2835, 2835, len(palette), 0)
    header = b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start)
    return header + struct.pack("<IiiHHIIiiII", *info) + colours + rows
