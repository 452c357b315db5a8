"""The names of findings on the page."""

_TITLES = {"odd_aspect": "odd shape"}


def flag_title(name: str) -> str:
    """The name of a flag of `Quality` on the page."""
    return _TITLES.get(name, name.replace("_", " "))
