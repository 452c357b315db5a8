"""The sections of the page, in its order.

A new section is a file with a function from a `ReportContext` to a `Section`, or to None if a run
has nothing to show in it, and an entry in `SECTIONS`.
"""

from and_tf.report.context import ReportContext
from and_tf.report.section import BuildSection
from and_tf.report.sections.attention import attention_section
from and_tf.report.sections.confusion import confusion_section
from and_tf.report.sections.explorer import explorer_section
from and_tf.report.sections.label_free import label_free_section
from and_tf.report.sections.metrics import metrics_section
from and_tf.report.sections.neighbours import neighbours_section
from and_tf.report.sections.rebuilt import rebuilt_section
from and_tf.report.sections.run import run_section
from and_tf.report.sections.training import training_section
from and_tf.report.sections.verdict import verdict_section

SECTIONS: list[BuildSection[ReportContext]] = [
    verdict_section,
    metrics_section,
    training_section,
    label_free_section,
    attention_section,
    rebuilt_section,
    neighbours_section,
    explorer_section,
    confusion_section,
    run_section,
]
