"""Images in a different folder from their neighbours."""

import dataclasses

import numpy as np

from and_tf.collection.collection import Collection
from and_tf.search.votes import TEMPERATURE

# With 5 % of the labels of 1,000 photos exchanged (10 draws, a pretrained encoder), 87 % of the
# first 20 by margin were exchanged ones with 20 voters and 92 % with 50. Sorted by the difference
# of the votes it was 80 % and 84 %: no vote for the own class says more than a clear winner.
IMAGES_PER_VOTER, LEAST, MOST = 20, 10, 50
SMOOTHING = 0.01  # added to both votes
SUSPECT = 3.0  # margin: the suggested class has twenty times the votes of the image's own


@dataclasses.dataclass(frozen=True, eq=False)
class SuspectLabels:
    """What the neighbours of each image say about its label.

    Attributes:
        suggested: (N,) int32, the class that weighted kNN votes for, without the image itself; -1
            if no neighbour has a label.
        margin: (N,) float32, nats: log of the ratio between the vote for that class and the vote
            for the image's own, as fractions of all votes plus 0.01: above 0 where they differ.
        is_suspect: (N,) bool.
        agreement: percentage of the labelled images whose label is the one voted for. If it is
            low, the encoder does not see the folders as classes, and suspect labels mean little.
    """

    suggested: np.ndarray
    margin: np.ndarray
    is_suspect: np.ndarray
    agreement: float = 100.0


def find_suspect_labels(collection: Collection) -> SuspectLabels | None:
    """Compares each label with a vote of the nearest images; None without two classes of labels.

    The votes are those of weighted kNN with one neighbour for every 20 images, 10 to 50. An image
    without a label (-1) neither votes nor is suspect.
    """
    labels, class_names = collection.source.labels, collection.source.class_names
    if labels is None or class_names is None or len(np.unique(labels[labels >= 0])) < 2:
        return None
    votes = _votes(collection, labels, len(class_names))  # (N, C)
    suggested = np.where(votes.any(axis=1), votes.argmax(axis=1), -1).astype(np.int32)
    rows = np.arange(len(labels))
    own = np.where(labels >= 0, votes[rows, labels], 0)
    ratio = (votes.max(axis=1) + SMOOTHING) / (own + SMOOTHING)
    margin = np.where(labels >= 0, np.log(ratio), 0).astype(np.float32)
    is_suspect = (margin >= SUSPECT) & (suggested != labels)
    agreement = 100 * float(np.mean((suggested == labels)[labels >= 0]))
    return SuspectLabels(suggested, margin, is_suspect, agreement)


def _votes(collection: Collection, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Fractions (N, C) of the votes for each class; zeros if no neighbour has a label."""
    voters = int(np.clip(len(labels) // IMAGES_PER_VOTER, LEAST, MOST))
    neighbours = collection.neighbours[:, :voters]
    similarity = collection.similarity[:, :voters].astype(np.float64)
    voted = labels[neighbours]  # (N, voters)
    weights = np.exp((similarity - 1) / TEMPERATURE) * (voted >= 0)
    votes = np.zeros((len(labels), num_classes))
    rows = np.broadcast_to(np.arange(len(labels))[:, None], voted.shape)
    np.add.at(votes, (rows, np.maximum(voted, 0)), weights)
    return votes / np.maximum(votes.sum(axis=1, keepdims=True), 1e-300)
