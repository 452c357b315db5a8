"""Everything found in a collection, for the table, the page and the terminal."""

from typing import NamedTuple

from and_tf.collection.clusters.found import Clusters
from and_tf.collection.duplicates.groups import Duplicates
from and_tf.collection.outliers import Outliers
from and_tf.collection.quality import Quality
from and_tf.collection.suspect_labels import SuspectLabels


class Findings(NamedTuple):
    """What the analyses found; None where one was not asked for or does not apply."""

    duplicates: Duplicates | None = None
    quality: Quality | None = None
    outliers: Outliers | None = None
    suspect_labels: SuspectLabels | None = None
    clusters: Clusters | None = None
