"""The sections of the page of a folder, in its order.

A new section is a file with a function from a `PageContext` to a `Section`, or to None if a
collection has nothing to show in it, and an entry in `SECTIONS`.
"""

from and_tf.collection.page.context import PageContext
from and_tf.collection.page.sections.clusters import clusters_section
from and_tf.collection.page.sections.duplicates import duplicates_section
from and_tf.collection.page.sections.explorer import explorer_section
from and_tf.collection.page.sections.method import method_section
from and_tf.collection.page.sections.neighbours import neighbours_section
from and_tf.collection.page.sections.outliers import outliers_section
from and_tf.collection.page.sections.quality import quality_section
from and_tf.collection.page.sections.suspect_labels import suspect_labels_section
from and_tf.collection.page.sections.verdict import verdict_section
from and_tf.report.section import BuildSection

SECTIONS: list[BuildSection[PageContext]] = [
    verdict_section,
    neighbours_section,
    clusters_section,
    duplicates_section,
    outliers_section,
    quality_section,
    suspect_labels_section,
    explorer_section,
    method_section,
]
