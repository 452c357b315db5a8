"""The page of a run."""

from and_tf.report import sections
from and_tf.report.context import ReportContext
from and_tf.report.page.rendering import build_sections, render
from and_tf.report.thumbnails import SMALL


def render_report(context: ReportContext) -> str:
    """The page of a run: all sections that it has data for."""
    return render(
        kind="Report of a training run",
        title=context.settings.run.name,
        subtitle=_subtitle(context),
        sections=build_sections(sections.SECTIONS, context),
        is_photos=context.image_size > SMALL,
    )


def _subtitle(context: ReportContext) -> str:
    """Method, images, network and length of the run, in one line."""
    settings, record = context.settings, context.record
    plan = record.plan
    epochs, rounds = _count(plan.total_epochs, "epoch"), _count(plan.rounds + 1, "round")
    trained = f"{epochs} in {rounds}" if settings.takes_steps else "not trained"
    return (
        f"{settings.title} on {record.metadata['images']:,} images of {settings.data.data} "
        f"({settings.data.train_split}), {context.encoder.name} with "
        f"{context.encoder.count_params():,} parameters, {trained}, seed {settings.run.seed}"
    )


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}{'' if number == 1 else 's'}"
