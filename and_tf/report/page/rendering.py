"""One HTML page from its sections: template, style and script lie beside this file."""

import base64
import hashlib
import logging
from collections.abc import Sequence

from markupsafe import Markup

from and_tf.report import sections
from and_tf.report.context import ReportContext
from and_tf.report.section import PAGE, Section, environment
from and_tf.report.thumbnails import SMALL

logger = logging.getLogger(__name__)


def render_report(context: ReportContext) -> str:
    """The page of a run: all sections for which it holds something."""
    logger.info("Drawing the page")
    made = [build(context) for build in sections.SECTIONS]
    return render(
        title=context.settings.run.name,
        subtitle=_subtitle(context),
        sections=[section for section in made if section is not None],
        is_photos=context.image_size > SMALL,
    )


def _subtitle(context: ReportContext) -> str:
    """Method, images, network and length of the run in a line."""
    settings, record = context.settings, context.record
    plan = record.plan
    return (
        f"{settings.method.title} on {record.metadata['images']:,} images of {settings.data.data} "
        f"({settings.data.train_split}), {context.encoder.name} with "
        f"{context.encoder.count_params():,} parameters, {_count(plan.total_epochs, 'epoch')} in "
        f"{_count(plan.rounds + 1, 'round')}, seed {settings.run.seed}"
    )


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def render(title: str, subtitle: str, sections: Sequence[Section], is_photos: bool) -> str:
    """The page as text, self-contained.

    A content security policy allows no script but the page's own and no address but data URIs.

    Args:
        title: of the page.
        subtitle: a line below it.
        sections: in their order.
        is_photos: whether images are shown smoothed, not as sharp pixels.
    """
    script = (PAGE / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    style = (PAGE / "page.css").read_text(encoding="utf-8")
    return environment().get_template("page.html").render(
        title=title,
        subtitle=subtitle,
        summaries=[section for section in sections if section.is_summary],
        sections=[section for section in sections if not section.is_summary],
        is_photos=is_photos,
        style=Markup("\n".join([style, *(section.style for section in sections)])),
        script=Markup(script),
        script_hash=f"sha256-{digest}",
    )  # fmt: skip
