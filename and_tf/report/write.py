"""Writes the report of a run: reads the run, embeds a sample of its images, writes the page."""

import importlib.util
import logging
from pathlib import Path
from typing import NamedTuple

from and_tf.errors import MissingPackage
from and_tf.report.run_images import open_run_images
from and_tf.report.settings import ReportSettings
from and_tf.runs.atomic_files import replace_file
from and_tf.runs.places import check_place, make_folder_of
from and_tf.runs.settings import RunChoice
from and_tf.runs.workdir import open_run

PACKAGES = ("jinja2", "matplotlib")

logger = logging.getLogger(__name__)


class WrittenReport(NamedTuple):
    """What `write_report` wrote.

    Attributes:
        page: the file.
        tensorboard: the folder of the run to start TensorBoard on.
    """

    page: Path
    tensorboard: Path


def write_report(
    choice: RunChoice, settings: ReportSettings, command: str = "", control_command: str = ""
) -> WrittenReport:
    """Writes the page of a run, finished or not, and its data for TensorBoard.

    Args:
        choice: the run and its checkpoint.
        settings: of the report.
        command: how to write the page again, shown on it.
        control_command: how to train the control, shown if it is missing.

    Raises:
        MissingPackage: if a package that only reports need is not installed.
        NotFound: if there is no run or no checkpoint.
        BrokenFile: if a file of the run is corrupt.
        UserError: if its images are different ones, or the page cannot be written.
    """
    for name in PACKAGES:
        if importlib.util.find_spec(name) is None:
            raise MissingPackage(f"A report needs {name}: pip install {' '.join(PACKAGES)}")
    from and_tf.report.context import read_context
    from and_tf.report.run_page import render_report
    from and_tf.report.tensorboard.run_board import write_board
    from and_tf.report.tensorboard.writer import check_folder

    run = open_run(choice.workdir)
    run.check_folders()
    page = settings.page_path(run.path)
    check_place("output", page)
    check_folder(run.board)
    images = open_run_images(run, settings)  # before the model, so that a refusal comes at once
    context = read_context(run, choice.checkpoint, settings, command, images, control_command)
    replace_file(make_folder_of(page), render_report(context))
    logger.info("Writing neighbours by round and the projector for TensorBoard")
    return WrittenReport(page, write_board(context))
