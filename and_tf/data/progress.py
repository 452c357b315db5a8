"""The one progress bar: on stderr, silent where that is not a terminal."""

from tqdm import tqdm

SECONDS_BEFORE_PROGRESS = 3


def progress_bar(
    total: int | None, description: str, unit: str = "image", is_shown: bool = True, **options
) -> tqdm:
    """A bar that appears where the work takes more than a few seconds.

    Args:
        total: number of units; None where it is not known.
        description: what is being done, such as "decoding images".
        unit: what is counted.
        is_shown: False for no bar at all.
        options: further arguments of tqdm.
    """
    return tqdm(
        total=total,
        desc=description,
        unit=unit,
        disable=None if is_shown else True,  # None: where stderr is not a terminal
        delay=SECONDS_BEFORE_PROGRESS,
        **options,
    )
