"""The curriculum: neighbourhoods are discovered anew at the start of each round."""

from collections.abc import Callable

import keras
import numpy as np

from and_tf.methods.anchor_neighbourhoods.diagnostics import consistency, stability
from and_tf.methods.anchor_neighbourhoods.discovery import discover
from and_tf.methods.anchor_neighbourhoods.discovery_by_index import discover_by_index
from and_tf.methods.anchor_neighbourhoods.selection import select_anchors
from and_tf.methods.rounds import RoundPlan
from and_tf.search.faiss_index import import_faiss


class NeighbourhoodCurriculum(keras.callbacks.Callback):
    """Sets the neighbours and anchors of an `AND` model at the first epoch of each round.

    The round follows from the optimiser's step, whatever way `fit` is cut into epochs or resumed,
    and a round that the model has already entered is not discovered again. The logs of each epoch
    get `round`, and from round 1 on `anchors`, `entropy_mean` (nats) and, where they can be
    measured, `stability` and `consistency` (percent).

    Args:
        rounds: R, rounds after the initial one.
        epochs_per_round: epochs of each round.
        first_round_epochs: epochs of round 0; 0 means the same as the others.
        steps_per_epoch: optimiser steps of a whole epoch; by default those that `fit` counts.
        anchors: `entropy` (the method) or `random` (its control).
        anchor_share: share of the images that are anchors in the last round; 0 leaves the method
            Instance, with discovery for its figures alone.
        features: function without arguments that returns (N, D) embeddings to discover from, such
            as clean ones; None takes the bank, as the authors do.
        labels: (N,) int, -1 where unknown, or None. Only for the figure `consistency`.
        seed: of the random anchors and of the faiss search.
        search: `exact`, or `faiss` for tens of millions of images: approximate, its recall printed.
        precision: of the similarities of exact search, see `discover`.
        progress: show how far discovery is, and print its estimate where it takes over a minute.

    Reference: Huang et al., ICML 2019, section 3.3 and algorithm 1.
    """

    def __init__(
        self,
        rounds: int = 4,
        epochs_per_round: int = 200,
        first_round_epochs: int = 0,
        steps_per_epoch: int | None = None,
        anchors: str = "entropy",
        anchor_share: float = 1.0,
        features: Callable[[], np.ndarray] | None = None,
        labels: np.ndarray | None = None,
        seed: int = 0,
        search: str = "exact",
        precision: str = "float32",
        progress: bool = False,
    ):
        super().__init__()
        if search not in ("exact", "faiss"):
            raise ValueError(f"search must be 'exact' or 'faiss'. Received {search!r}.")
        if search == "faiss":
            import_faiss()  # not missed hours later
        if anchors not in ("entropy", "random"):
            raise ValueError(f"anchors must be 'entropy' or 'random'. Received {anchors!r}.")
        if not 0 <= anchor_share <= 1:
            raise ValueError(f"anchor_share must be in [0, 1]. Received {anchor_share}.")
        self.plan = RoundPlan(rounds, epochs_per_round, first_round_epochs)
        self.steps_per_epoch = steps_per_epoch
        self.anchors, self.anchor_share = anchors, anchor_share
        self.features, self.seed = features, seed
        self.search, self.precision, self.progress = search, precision, progress
        self.labels = None if labels is None else np.asarray(labels)
        self.figures: dict[str, float] = {}

    def on_epoch_begin(self, epoch, logs=None):
        steps_per_epoch = self.steps_per_epoch or self.params.get("steps")
        if steps_per_epoch:
            epoch = int(self.model.optimizer.iterations.numpy()) // steps_per_epoch
        number = self.plan.round_of(epoch)
        if number != int(self.model.round.numpy()):
            self._enter(number)
        elif number > 0 and not self.figures:  # a resumed run
            self.figures = self._measure()

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs.update(self.figures, round=int(self.model.round.numpy()))

    def _enter(self, number: int) -> None:
        model = self.model
        before, had_neighbours = model.neighbours.numpy(), int(model.round.numpy()) > 0
        rows = model.bank.rows.numpy() if self.features is None else self.features()
        found = self._discover(rows, model.neighbourhood_size, model.bank.temperature)
        is_anchor = self._select(found.entropy, number)
        model.neighbours.assign(found.neighbours)
        model.entropy.assign(found.entropy)
        model.is_anchor.assign(is_anchor)
        model.round.assign(number)
        self.figures = self._measure()
        if had_neighbours:
            self.figures["stability"] = stability(before, found.neighbours)

    def _discover(self, rows: np.ndarray, neighbourhood_size: int, temperature: float):
        settings = {"progress": self.progress}
        if self.search == "faiss":
            return discover_by_index(rows, neighbourhood_size, temperature, self.seed, **settings)
        settings |= {"precision": self.precision}
        return discover(rows, neighbourhood_size, temperature, **settings)

    def _measure(self) -> dict[str, float]:
        is_anchor = self.model.is_anchor.numpy()
        figures = {
            "anchors": int(is_anchor.sum()),
            "entropy_mean": float(self.model.entropy.numpy().mean()),
        }
        if self.labels is not None:
            share = consistency(self.model.neighbours.numpy(), is_anchor, self.labels)
            figures |= {} if share is None else {"consistency": share}
        return figures

    def _select(self, entropy: np.ndarray, number: int) -> np.ndarray:
        if self.anchors == "random":
            entropy = np.random.default_rng([self.seed, number]).random(len(entropy))
        share = self.anchor_share * number / self.plan.rounds
        return select_anchors(entropy, int(len(entropy) * share + 1e-9))
