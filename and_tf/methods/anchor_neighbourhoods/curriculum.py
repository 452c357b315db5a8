"""The curriculum: neighbourhoods are rediscovered at the start of each round."""

import contextlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import keras
import numpy as np

from and_tf.bank.collectives import local_devices
from and_tf.data.exchange import ALONE, Sharing, from_first
from and_tf.errors import Argument, UserError
from and_tf.methods.anchor_neighbourhoods.diagnostics import consistency
from and_tf.methods.anchor_neighbourhoods.selection import RULES
from and_tf.methods.rounds import RoundPlan
from and_tf.runs.discovery_blocks import DiscoveryBlocks
from and_tf.search import in_blocks
from and_tf.search.choices import SEARCHES
from and_tf.search.in_blocks import WholeRows, discover_in_blocks
from and_tf.search.neighbourhoods import Neighbourhoods, discover, neighbour_overlap
from and_tf.search.neighbourhoods_by_index import discover_by_index, import_faiss


class NeighbourhoodCurriculum(keras.callbacks.Callback):
    """Sets the neighbours and anchors of an `AND` model at the first epoch of each round.

    The round follows from the optimiser's step, however `fit` is divided into epochs or resumed,
    and discovery is not repeated for a round that the model has already entered. The logs of each
    epoch contain `round`, and from round 1 on `anchors`, `entropy_mean` (nats) and, where they can
    be measured, `stability` and `consistency` (percent).

    Args:
        rounds: R, rounds after the initial one.
        epochs_per_round: epochs of each round.
        first_round_epochs: epochs of round 0; 0 means the same as the others.
        steps_per_epoch: optimiser steps of a whole epoch; by default the number that `fit` uses.
        anchors: which images become anchors, a key of `RULES`: `entropy` (the method) or `random`
            (its control).
        anchor_share: fraction of the images that are anchors in the last round; 0 gives the method
            Instance, with discovery only for its metrics.
        features: function without arguments that returns the (N, D) embeddings to discover from,
            such as clean ones; None uses the bank, as the authors do.
        labels: (N,) int, -1 where unknown, or None. Only for the metric `consistency`.
        seed: of the random anchors and of the faiss search.
        search: `exact`, or `faiss` for tens of millions of images: approximate, with logged recall.
        precision: of the similarities in exact search, see `discover`.
        progress: show the progress of discovery, and log an estimate if it takes over a minute.
        interruptible: opens a block in which discovery runs and which an exception may leave at any
            moment. The round is then not entered, and a later `fit` discovers it again.
        sharing: the processes that train together, which share exact search.
        blocks: where exact search of very many images saves its progress, until the next discovery
            or the end of `fit`; None for nowhere.

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
        interruptible: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
        sharing: Sharing = ALONE,
        blocks: DiscoveryBlocks | None = None,
    ):
        super().__init__()
        if search not in SEARCHES:
            raise UserError(Argument("search", search), f" must be one of {', '.join(SEARCHES)}.")
        if search == "faiss":
            import_faiss()  # fails now if it is missing, not hours later
        if anchors not in RULES:
            raise UserError(Argument("anchors", anchors), f" must be one of {', '.join(RULES)}.")
        if not 0 <= anchor_share <= 1:
            raise UserError(Argument("anchor_share", anchor_share), " must be from 0 to 1.")
        self.plan = RoundPlan(rounds, epochs_per_round, first_round_epochs)
        self.steps_per_epoch = steps_per_epoch
        self.rule, self.anchor_share = RULES[anchors], anchor_share
        self.features, self.seed = features, seed
        self.search, self.precision, self.progress = search, precision, progress
        self.labels = None if labels is None else np.asarray(labels)
        self.interruptible, self.sharing, self.blocks = interruptible, sharing, blocks
        self.metrics: dict[str, float] = {}  # of the current round

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        steps_per_epoch = self.steps_per_epoch or self.params.get("steps")
        if steps_per_epoch:
            epoch = int(self.model.optimizer.iterations.numpy()) // steps_per_epoch
        number = self.plan.round_of(epoch)
        if number != int(self.model.round.numpy()):
            self._enter(number)
        elif number > 0 and not self.metrics:  # a resumed run
            self.metrics = self._measure()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            logs.update(self.metrics, round=int(self.model.round.numpy()))

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self.blocks is not None:  # only now: a checkpoint must contain their results first
            self.blocks.remove()

    def metadata(self) -> dict[str, Any]:
        """The metrics of the round, for a checkpoint: not all of them could be measured again."""
        return {"curriculum": self.metrics}

    def restore(self, metadata: Mapping[str, Any]) -> None:
        """Restores the metrics from a checkpoint's metadata."""
        self.metrics = dict(metadata["curriculum"])

    def _enter(self, number: int) -> None:
        """Begins a round; nothing changes until discovery has finished."""
        model = self.model
        before, had_neighbours = model.neighbours.numpy(), int(model.round.numpy()) > 0
        with self.interruptible():
            found = self._discover(model.neighbourhood_size, model.temperature)
        is_anchor = self._select(found.entropy, number)
        model.neighbours.assign(found.neighbours)
        model.entropy.assign(found.entropy)
        model.is_anchor.assign(is_anchor)
        model.round.assign(number)
        self.metrics = self._measure()
        if had_neighbours:
            self.metrics["stability"] = neighbour_overlap(before, found.neighbours)

    def _discover(self, neighbourhood_size: int, temperature: float) -> Neighbourhoods:
        bank = self.model.bank
        is_in_parts = bank.is_sharded and self.features is None
        if self.search == "faiss":
            take_part = bank.stored.take_part if is_in_parts else self._rows
            return self._discover_by_index(neighbourhood_size, temperature, take_part)
        arguments: dict[str, Any] = {
            "precision": self.precision, "progress": self.progress, "sharing": self.sharing,
            "devices": local_devices(self.model.distribute_strategy),
        }  # fmt: skip
        is_long = self.blocks is not None and bank.num_samples >= in_blocks.ROWS_WORTH_KEEPING
        if not is_in_parts and not is_long:
            return discover(self._rows(), neighbourhood_size, temperature, **arguments)
        rows = bank.stored if is_in_parts else WholeRows(self._rows())
        kept = self.blocks if is_long else None
        return discover_in_blocks(rows, neighbourhood_size, temperature, **arguments, kept=kept)

    def _rows(self) -> np.ndarray:
        """The rows (N, D) to discover from."""
        return self.model.bank.read_all() if self.features is None else self.features()

    def _discover_by_index(
        self, neighbourhood_size: int, temperature: float, take_part: Callable[[], object]
    ) -> Neighbourhoods:
        """Discovery by an index, in the first process for all.

        An index may come out differently on another machine. The other processes only take part in
        reading the rows.
        """
        rows = self._rows() if self.sharing.number == 0 else take_part()

        def compute() -> np.ndarray:
            found = discover_by_index(
                rows, neighbourhood_size, temperature, self.seed, progress=self.progress
            )
            return np.column_stack([found.entropy.view(np.int32), found.neighbours])

        shape = (self.model.num_samples, 1 + neighbourhood_size)
        both = from_first(self.sharing, compute, shape, np.int32)
        return Neighbourhoods(np.ascontiguousarray(both[:, 0]).view(np.float32), both[:, 1:])

    def _select(self, entropy: np.ndarray, number: int) -> np.ndarray:
        """The anchors of a round, (N,) bool: their number grows in equal steps."""
        fraction = self.anchor_share * number / self.plan.rounds
        num_anchors = int(len(entropy) * fraction + 1e-9)  # against rounding errors
        return self.rule(entropy, num_anchors, [self.seed, number])

    def _measure(self) -> dict[str, float]:
        is_anchor = self.model.is_anchor.numpy()
        metrics = {
            "anchors": int(is_anchor.sum()),
            "entropy_mean": float(self.model.entropy.numpy().mean()),
        }
        if self.labels is not None:
            percent = consistency(self.model.neighbours.numpy(), is_anchor, self.labels)
            metrics |= {} if percent is None else {"consistency": percent}
        return metrics
