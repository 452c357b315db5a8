"""The SavedModel decodes files as embed.py does, or says that it did not."""

import struct

import numpy as np
import pytest
import tensorflow as tf
from helpers.image_files import (
    SIZE,
    bmp,
    chunk,
    encoded,
    exif,
    packed,
    palette,
    photo,
    png,
    runs,
    transparent_photo,
    xmp,
)  # fmt: skip

from and_tf.data.decode import load_square
from and_tf.export.decoding.squares import decode_squares

SIDE = 24
RNG = np.random.default_rng(0)
WIDE = photo((700, 510))
SIXTEEN_BITS = np.asarray(photo(), np.uint16) * 257 + RNG.integers(-120, 120, (51, 70, 3)).astype(
    "uint16"
)
COARSE = np.repeat(np.repeat(RNG.integers(0, 16, (6, 9)), 9, axis=0), 8, axis=1)[:51, :70]
NOISE = RNG.integers(0, 16, (51, 70))
MIXED = np.where(RNG.random((51, 70)) < 0.5, COARSE, NOISE)


def gif(image=None, **options):
    return encoded(image or photo().quantize(16), "GIF", **options)


def local_palette_gif():
    """A GIF whose first frame has colours of its own."""
    content = gif(transparent_photo())
    table = content[13 : 13 + 3 * 2 ** (content[10] % 8 + 1)]
    start = content.index(b"\x2c", 13 + len(table))
    flags = bytes([0x80 | content[10] % 8])
    head = content[:10] + b"\0" + content[11:13]
    return head + content[13 + len(table) : start + 9] + flags + table + content[start + 10 :]


def small_frame_animation():
    """An animated WebP whose first frame does not fill the canvas."""
    frame = encoded(photo((20, 12)), "WEBP", lossless=True)[12:]
    fields = b"".join(int(v).to_bytes(3, "little") for v in (5, 4, 19, 11, 100)) + b"\0"
    frames = b"ANMF" + struct.pack("<I", len(fields + frame)) + fields + frame
    canvas = b"".join((v - 1).to_bytes(3, "little") for v in SIZE)
    content = b"WEBPVP8X\x0a\0\0\0\x12\0\0\0" + canvas + b"ANIM\6\0\0\0\0\0\0\0\0\0" + frames
    return b"RIFF" + struct.pack("<I", len(content)) + content


SAME = {  # kinds that give the pixels of embed.py
    "JPEG": encoded(photo(), "JPEG"),
    "JPEG, progressive": encoded(photo(), "JPEG", progressive=True, subsampling=2),
    "JPEG, grey": encoded(photo(mode="L"), "JPEG"),
    "JPEG, CMYK": encoded(photo(mode="CMYK"), "JPEG"),
    **{f"JPEG, orientation {n}": encoded(WIDE, "JPEG", exif=exif(n)) for n in range(1, 10)},
    "JPEG, XMP": encoded(photo(), "JPEG", xmp=xmp()),
    "JPEG, XMP element": encoded(photo(), "JPEG", xmp=b"<tiff:Orientation>8</tiff:Orientation>"),
    "JPEG, EXIF before XMP": encoded(photo(), "JPEG", exif=exif(3), xmp=xmp()),
    "JPEG, corrupt EXIF": encoded(photo(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f"),
    **{f"JPEG of {w}x{h}": encoded(photo((w, h)), "JPEG") for w, h in
       [(95, 97), (96, 96), (97, 190), (192, 192), (383, 385), (384, 384), (1000, 390)]},
    "PNG": encoded(photo(), "PNG"),
    "PNG, interlaced grey": encoded(photo(mode="L"), "PNG"),
    "PNG, 1 bit": encoded(photo(mode="1"), "PNG"),
    "PNG, palette": encoded(photo().quantize(16), "PNG"),
    "PNG, transparent colour": encoded(photo().quantize(16), "PNG", transparency=3),
    "PNG, alpha": encoded(transparent_photo(), "PNG"),
    "PNG, grey alpha": encoded(transparent_photo().convert("LA"), "PNG"),
    "PNG, orientation": encoded(photo(), "PNG", exif=exif(6)),
    "PNG, 16-bit grey": png(SIXTEEN_BITS[..., :1], 0),
    "PNG, 16-bit colours": png(SIXTEEN_BITS, 2),
    "PNG, 16-bit grey alpha": png(SIXTEEN_BITS[..., :2], 4),
    "PNG, 16-bit alpha": png(np.concatenate([SIXTEEN_BITS, SIXTEEN_BITS[..., :1]], -1), 6),
    "PNG, much text": png(np.asarray(photo()), 2, 8, chunk(b"tEXt", b"a\0" + b"b" * 100_000)),
    "APNG": encoded(photo(), "PNG", save_all=True, append_images=[photo(seed=1)]),
    "WebP": encoded(photo(), "WEBP"),
    "WebP, lossless": encoded(photo(), "WEBP", lossless=True),
    "WebP, alpha": encoded(transparent_photo(), "WEBP"),
    "WebP, orientation": encoded(photo(), "WEBP", exif=exif(6)),
    "WebP, XMP": encoded(photo(), "WEBP", xmp=xmp()),
    "WebP, animated": encoded(photo(), "WEBP", save_all=True, append_images=[photo(seed=1)]),
    "WebP, animated alpha": encoded(
        transparent_photo(), "WEBP", save_all=True, append_images=[transparent_photo(1)]
    ),
    "WebP, small first frame": small_frame_animation(),
    "GIF": gif(),
    "GIF, interlaced": gif(interlace=1),
    "GIF, transparent": gif(transparent_photo()),
    "GIF, own palette": local_palette_gif(),
    "GIF, animated": gif(save_all=True, append_images=[photo(seed=1)]),
    "GIF, animated transparent": gif(
        transparent_photo(), save_all=True, append_images=[transparent_photo(1)]
    ),
    "GIF, comment": gif(comment=b"hello" * 100),
    "BMP": encoded(photo(), "BMP"),
    "BMP, top-down": bmp(SIZE, 32, RNG.bytes(70 * 51 * 4), top_down=True),
    "BMP, 1 bit": bmp(SIZE, 1, packed(NOISE % 2, 1), palette=palette(2)),
    "BMP, 1 bit grey": encoded(photo(mode="1"), "BMP"),
    "BMP, 4 bits": bmp(SIZE, 4, packed(COARSE, 4), palette=palette(16)),
    "BMP, 8 bits": bmp(SIZE, 8, packed(COARSE, 8), palette=palette(16)),
    "BMP, grey": encoded(photo(mode="L"), "BMP"),
    "BMP, OS/2": bmp(SIZE, 8, packed(COARSE, 8), palette=palette(256, 3), header=12),
    "BMP, RLE8": bmp(SIZE, 8, runs(MIXED), 1, palette(256)),
    "BMP, RLE4": bmp(SIZE, 4, runs(MIXED, rle4=True), 2, palette(16)),
    "BMP, RLE8 with jumps": bmp(
        SIZE, 8,
        b"\5\3\0\2\7\2\6\4\0\0\4\2\0\0\0\2\3\1\0\5\1\2\3\4\5\0\0\2\0\x33\0\1", 1, palette(256)
    ),
    "BMP, 16 bits": bmp(SIZE, 16, RNG.bytes(140 * 51)),
    "BMP, 565": bmp(SIZE, 16, RNG.bytes(140 * 51), 3,
                    masks=struct.pack("<III", 0xF800, 0x7E0, 0x1F)),
    "BMP, alpha": bmp(SIZE, 32, RNG.bytes(70 * 51 * 4), 3, header=108,
                      masks=struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
    "BMP, 32 bits": bmp(SIZE, 32, RNG.bytes(70 * 51 * 4)),
}  # fmt: skip


def small_frame_gif():
    """A GIF whose first frame does not fill the canvas."""
    content = bytearray(gif())
    content[6:10] = struct.pack("<HH", 80, 60)
    return bytes(content)


def tiff():
    return encoded(photo(), "TIFF")


NOT_DECODED = {
    "nothing": b"",
    "text": b"not an image",
    "one byte": b"\xff",
    "TIFF": tiff(),
    "JPEG, start alone": SAME["JPEG"][:3],
    "JPEG, half a header": SAME["JPEG"][:100],
    "JPEG, half": SAME["JPEG"][: len(SAME["JPEG"]) // 2],
    "JPEG without its last bytes": SAME["JPEG"][:-20],
    "JPEG without its end marker": SAME["JPEG"][:-2],
    "PNG, half": SAME["PNG"][: len(SAME["PNG"]) // 2],
    "PNG with other pixels": SAME["PNG"][:200] + b"other" + SAME["PNG"][205:],
    "WebP, half": SAME["WebP"][: len(SAME["WebP"]) // 2],
    "WebP, animation without frames": SAME["WebP, animated"][:44],
    "RIFF of sounds": b"RIFF\0\0\0\0WAVEfmt ",
    "GIF, half": SAME["GIF"][: len(SAME["GIF"]) // 2],
    "GIF, small first frame": small_frame_gif(),
    "BMP, half": SAME["BMP"][: len(SAME["BMP"]) // 2],
    "BMP, header alone": SAME["BMP"][:54],
    "BMP with a JPEG in it": bmp(SIZE, 24, SAME["JPEG"], 4),
    "BMP, other colours": bmp(SIZE, 32, RNG.bytes(70 * 51 * 4), 3,
                              masks=struct.pack("<III", 0x3F, 0x3F00, 0x3F0000)),
    "BMP, runs end early": bmp(SIZE, 8, b"\5\3\0\1", 1, palette(256)),
    "BMP, run too long": bmp(SIZE, 8, b"\xff\1\0\1", 1, palette(256)),
}  # fmt: skip


@pytest.fixture(scope="module")
def decoded():
    """Squares and mask of all files as one batch: a corrupt one behind each of the others."""
    decode = tf.function(
        lambda files: decode_squares(files, SIDE),
        input_signature=[tf.TensorSpec((None,), tf.string)],
        autograph=False,
    )
    names = [*SAME, *NOT_DECODED, *SAME]
    squares, mask = decode([*SAME.values(), *NOT_DECODED.values(), *SAME.values()])
    again = slice(len(SAME) + len(NOT_DECODED), None)
    np.testing.assert_array_equal(squares[: len(SAME)], squares[again])
    assert [found.shape for found in decode(tf.zeros((0,), tf.string))] == [
        (0, SIDE, SIDE, 3),
        (0,),
    ]
    assert not decode([b""])[1].numpy().any()
    return dict(zip(names, zip(squares.numpy(), mask.numpy(), strict=True), strict=True))


@pytest.mark.parametrize("kind", SAME)
def test_a_file_gives_the_pixels_of_embed_whatever_stands_beside_it(decoded, kind):
    found, is_decoded = decoded[kind]
    assert is_decoded
    difference = np.abs(found.astype(int) - load_square(SAME[kind], SIDE))
    assert difference.max() <= 1


@pytest.mark.parametrize("kind", NOT_DECODED)
def test_what_is_not_decoded_is_told_and_black(decoded, kind):
    found, is_decoded = decoded[kind]
    assert not is_decoded and not found.any()
