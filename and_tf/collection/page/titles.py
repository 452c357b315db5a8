"""What findings are called on the page."""

# Which measurement a flag rests on, and whether the highest (1) or lowest (-1) is most remarkable.
MEASURED_BY = {
    "blurred": ("sharpness", -1),
    "dark": ("brightness", -1),
    "bright": ("brightness", 1),
    "low_contrast": ("contrast", -1),
}

_TITLES = {"odd_aspect": "odd shape"}


def flag_title(name: str) -> str:
    """What a flag of `Quality` is called."""
    return _TITLES.get(name, name.replace("_", " "))
