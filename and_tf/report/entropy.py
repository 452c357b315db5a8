"""The entropy of each image's neighbourhood: low if the neighbourhood is clear."""

import dataclasses

import numpy as np

from and_tf import discover
from and_tf.report.record import Record
from and_tf.report.sample import Sample
from and_tf.settings import flat_values

TEMPERATURE = 0.1  # for methods that have none


@dataclasses.dataclass(frozen=True)
class Entropy:
    """Entropy of the neighbourhood of each image of a sample.

    Attributes:
        values: (n,) float32, nats.
        rank: (n,) float in 0..1, the fraction of the other images with lower entropy.
        origin: where the values come from, for the reader.
    """

    values: np.ndarray
    rank: np.ndarray
    origin: str


def entropy_of(record: Record, sample: Sample) -> Entropy:
    """The entropy from the last round's discovery, or else from the embeddings.

    Args:
        record: of the run.
        sample: of its training images.
    """
    if record.discoveries:
        last = record.discoveries[-1]
        rank = _rank(last.entropy)[sample.indices]
        origin = f"as discovered at the start of round {last.round}"
        return Entropy(last.entropy[sample.indices], rank, origin)
    temperature = flat_values(record.settings.method).get("temperature", TEMPERATURE)
    values = discover(sample.embeddings, 1, temperature).entropy
    return Entropy(values, _rank(values), f"from the embeddings of {sample.describe('training')}")


def _rank(values: np.ndarray) -> np.ndarray:
    order = np.argsort(values, kind="stable")
    rank = np.empty(len(values))
    rank[order] = np.arange(len(values)) / max(1, len(values) - 1)
    return rank
