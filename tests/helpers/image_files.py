"""Image files of every kind that people have, made from formulas."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

SIZE = (70, 51)  # width and height; rows of BMP are padded


def photo(size=SIZE, mode="RGB", seed=0):
    """A smooth picture whose corners differ, so that turning it shows."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).convert(mode)


def transparent_photo(seed=0):
    """With transparent, half transparent and opaque rows."""
    pixels = np.asarray(photo(mode="RGBA", seed=seed)).copy()
    pixels[:20, :, 3] = 0
    pixels[20:35, :, 3] = 100
    return Image.fromarray(pixels)


def encoded(image, kind, **options):
    """The bytes of an image file as Pillow writes it."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def exif(orientation):
    """Metadata with an orientation."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def xmp(text='tiff:Orientation="6"'):
    """Metadata as Adobe's programs write it."""
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description {text}/></x:xmpmeta>'.encode()


def png(pixels, color_type, depth=16, extra=b""):
    """A PNG of (H, W, channels) with chunks of its own before the pixels."""
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(f">u{depth // 8}").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunks + chunk(b"IEND", b"")


def chunk(name, content):
    """A chunk of a PNG."""
    ends = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + ends


def bmp(size, bits, pixels, compression=0, palette=b"", masks=b"", header=40, top_down=False):
    """A BMP of bytes that are already packed."""
    width, height = size
    colors = len(palette) // (3 if header == 12 else 4)
    start = 14 + header + len(palette) + (len(masks) if header == 40 else 0)
    if header == 12:
        fields = struct.pack("<IHHHH", header, width, height, 1, bits)
    else:
        fields = struct.pack(
            "<IiiHHIIIIII", header, width, -height if top_down else height, 1, bits, compression,
            len(pixels), 2835, 2835, colors, 0,
        )  # fmt: skip
        fields = (fields + masks).ljust(14 + header, b"\0") if header > 40 else fields + masks
        fields = fields[:header] if header > 40 else fields
    head = b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start)
    return head + fields + palette + pixels


def palette(num_colors, entry=4, seed=0):
    """Colours, blue first."""
    colors = np.random.default_rng(seed).integers(0, 256, (num_colors, entry), dtype=np.uint8)
    return colors.tobytes()


def packed(indices, bits):
    """Rows of indices (H, W) as a BMP packs them, padded to 4 bytes."""
    per_byte = 8 // bits
    width = -(-indices.shape[1] * bits // 32) * 4 * per_byte
    padded = np.pad(indices, ((0, 0), (0, width - indices.shape[1]))).astype(np.uint8)
    groups = padded.reshape(len(indices), -1, per_byte)
    shifts = np.arange(8 - bits, -1, -bits)
    return (groups << shifts).sum(-1).astype(np.uint8).tobytes()


def runs(indices, rle4=False):
    """Rows of indices (H, W) as runs, with literals, a jump and an early end among them."""
    coded = bytearray()
    for row in indices:
        place = 0
        while place < len(row):
            rest = row[place:]
            same = int(np.argmax(np.append(rest != rest[0], True)))
            if same >= 3 or len(rest) < 3:
                value = int(rest[0])
                coded += bytes([same, value * 17 if rle4 else value])
                place += same
            else:
                values = [int(value) for value in rest[:9]]
                place += len(values) if len(values) > 2 else 0
                coded += bytes([0, len(values)]) + _literals(values, rle4)
        coded += b"\0\0"
    return bytes(coded + b"\0\1")


def _literals(values, rle4):
    if rle4:
        values = values + [0] * (len(values) % 2)
        values = [16 * a + b for a, b in zip(values[::2], values[1::2], strict=True)]
    return bytes(values + [0] * (len(values) % 2))
