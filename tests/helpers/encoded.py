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


def big_endian_tiff(pixels, photometric, bits, channels=1, width=None, more=()):
    """An uncompressed TIFF of rows of bytes (H, B), as Motorola's processors wrote them."""
    after = 8 + 2 + 12 * (9 + len(more)) + 4
    depths = struct.pack(f">{channels}H", *[bits] * channels) if channels > 1 else b""

    def short(value):
        return struct.pack(">HIHH", 3, 1, value, 0)

    def long(value):
        return struct.pack(">HII", 4, 1, value)

    tags = {
        256: short(width or pixels.shape[1] * 8 // bits // channels), 257: short(len(pixels)),
        258: struct.pack(">HII", 3, channels, after) if channels > 1 else short(bits),
        259: short(1), 262: short(photometric), 273: long(after + len(depths)),
        277: short(channels), 278: short(len(pixels)), 279: long(pixels.nbytes),
    }  # fmt: skip
    tags |= {tag: short(value) for tag, value in more}
    entries = b"".join(struct.pack(">H", tag) + tags[tag] for tag in sorted(tags))
    header = b"MM\0*" + struct.pack(">IH", 8, len(tags)) + entries + bytes(4)
    return header + depths + pixels.tobytes()
