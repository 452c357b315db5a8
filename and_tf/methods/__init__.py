"""Methods that train an encoder, one file or folder each.

To add a method, write a subclass of `Method` in a new file and add a line to `METHODS`.
"""

from and_tf.methods.anchor_neighbourhoods.method import AnchorNeighbourhoods
from and_tf.methods.deepcluster.method import DeepCluster
from and_tf.methods.instance import Instance
from and_tf.methods.method import Method
from and_tf.methods.random_weights import RandomWeights
from and_tf.methods.split_brain.method import SplitBrain
from and_tf.methods.supervised import Supervised

METHODS: dict[str, type[Method]] = {
    "and": AnchorNeighbourhoods,
    "instance": Instance,
    "deepcluster": DeepCluster,
    "split_brain": SplitBrain,
    "supervised": Supervised,
    "random": RandomWeights,
}

__all__ = ["METHODS", "Method"]
