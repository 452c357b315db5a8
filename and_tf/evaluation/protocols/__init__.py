"""The protocols of evaluation, by the name that the flag `classifier` takes.

To add one, write a module with a subclass of `Protocol` and add it here.
"""

from and_tf.evaluation.protocols.clusters import Clusters
from and_tf.evaluation.protocols.knn import WeightedKnn
from and_tf.evaluation.protocols.linear import Linear
from and_tf.evaluation.protocols.nearest_image import NearestImage
from and_tf.evaluation.protocols.protocol import EncoderInput, Outcome, Protocol, ProtocolInput
from and_tf.evaluation.protocols.retrieval import Retrieval

PROTOCOLS: dict[str, type[Protocol]] = {
    "knn": WeightedKnn,
    "nn": NearestImage,
    "linear": Linear,
    "retrieval": Retrieval,
    "clusters": Clusters,
}

__all__ = ["PROTOCOLS", "EncoderInput", "Outcome", "Protocol", "ProtocolInput"]
