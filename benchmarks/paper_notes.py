"""What stands below the paper's table: what may be compared, and how each method was trained."""

from collections.abc import Mapping, Sequence

from and_tf.data.pipeline import steps_per_epoch
from and_tf.report.published import Setting, departures, differences
from and_tf.report.standard_error import standard_error
from and_tf.settings import flat_values
from and_tf.training.settings import read_settings
from benchmarks.paper_results import Results, title


def notes(
    results: Results, epochs: int, of_all: Sequence[str], own: Mapping[str, Sequence[str]]
) -> list[str]:
    """A line each.

    Args:
        results: with at least one finished run.
        epochs: of every method.
        of_all: flags of all runs.
        own: flags that a method alone is given, by method.
    """
    ours = results.setting
    error = max(standard_error(value, ours.held_out_images) for value in results.values())
    return [
        "Cells: top-1 % at the last checkpoint, mean over seeds, (standard deviation), "
        f"[published]. The standard error of one value on {ours.held_out_images:,} images is "
        f"up to {error:.1f} points.",
        f"The rows may be compared with each other: {ours.images:,} training images, "
        f"{epochs:,} epochs{of_steps(results, ours.images)}, encoder {ours.encoder}, "
        f"{ours.image_size} pixels. Random weights are not trained, and supervised training reads "
        "labels; in what else the methods differ is listed below.",
        beside_published(results, ours),
        *of_grey_images(results),
        f"All runs: {' '.join(of_all)}",
        *(of_method(results, method, epochs, own[method]) for method in results.methods),
    ]


def of_steps(results: Results, images: int) -> str:
    """The steps of an epoch, or that the methods differ in them."""
    workdirs = filter(None, map(results.workdir, results.methods))
    batch_sizes = {read_settings(workdir).optimizer.batch_size for workdir in workdirs}
    steps = {steps_per_epoch(images, batch_size) for batch_size in batch_sizes}
    return f" of {steps.pop():,} steps" if len(steps) == 1 else ", not of the same number of steps"


def of_grey_images(results: Results) -> list[str]:
    """A line on Split-Brain, if images have no colours for it to predict."""
    workdir = results.workdir("split_brain")
    if workdir is None:
        return []
    metadata = workdir.read_metadata()
    channels = {*zip(metadata["mean"], metadata["std"], strict=True)}
    if len(channels) > 1:
        return []
    return [
        "All channels of the images have the same mean and deviation, so the images are grey: "
        "half of Split-Brain's encoder has nothing to predict, and the other half has no input."
    ]


def beside_published(results: Results, ours: Setting) -> str:
    """Whether the results in brackets may be compared with those before them."""
    table = results.published
    names = [title(method) for method in results.methods]
    rows = [] if table is None else [table.rows[name] for name in names if name in table.rows]
    if table is None or not rows:
        return f"Nothing is published on {ours.data} for these methods."
    sources = sorted({row.source for row in rows})
    published = f"In brackets: {table.setting}, {', '.join(sources)}"
    if reasons := differences(ours, table.setting):
        return f"{published}; not comparable with the values here: {'; '.join(reasons)}."
    caveats = " ".join(caveat.text for caveat in table.caveats)
    return f"{published}; images and network are those of this table. {caveats}"


def of_method(results: Results, method: str, epochs: int, own: Sequence[str]) -> str:
    """How a method was trained, and how that differs from its published row."""
    line = f"{title(method)}: {' '.join(own)}"
    row = results.published.rows.get(title(method)) if results.published else None
    workdir = results.workdir(method)
    if workdir is None:
        return line
    settings = read_settings(workdir)
    reasons = [f"with {words}" for words in settings.method.variations]
    if row is None:
        return f"{line} ({'; '.join(reasons)})" if reasons else line
    if row.epochs is None:
        reasons.append("for how many epochs the published row was trained is not recorded")
        return f"{line} ({'; '.join(reasons)})"
    reasons += departures(flat_values(settings), row.recipe)
    if row.epochs != epochs:
        reasons.append(f"{epochs:,} epochs, not {row.epochs:,}")
    return f"{line} (not as published: {'; '.join(reasons)})" if reasons else line
