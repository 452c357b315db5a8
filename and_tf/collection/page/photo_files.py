"""Short descriptions of a photo's file."""

from and_tf.collection.page.context import PageContext


def describe_file(context: PageContext, index: int) -> str:
    """Pixels and bytes of a photo's file, where they are known."""
    source = context.collection.source
    parts = []
    shapes, sizes = getattr(source, "shapes", None), getattr(source, "sizes", None)
    if shapes is not None and shapes[index].min() > 0:
        height, width = shapes[index]
        parts.append(in_pixels(width, height))
    if sizes is not None:
        parts.append(file_size(int(sizes[index])))
    return ", ".join(parts)


def in_pixels(width: float, height: float) -> str:
    """Width and height, without a line break between them."""
    return f"{width:.0f}\N{NO-BREAK SPACE}\N{MULTIPLICATION SIGN}\N{NO-BREAK SPACE}{height:.0f}"


def file_size(size: int) -> str:
    """A size in bytes as text, in kB or MB."""
    number, unit = (f"{size / 1e6:.1f}", "MB") if size >= 1_000_000 else (round(size / 1e3), "kB")
    return f"{number or 1}\N{NO-BREAK SPACE}{unit}"
