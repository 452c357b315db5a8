"""What findings are called on the page."""

_TITLES = {"odd_aspect": "odd shape"}


def flag_title(name: str) -> str:
    """What a flag of `Quality` is called."""
    return _TITLES.get(name, name.replace("_", " "))
