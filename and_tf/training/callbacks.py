"""What a run reports and keeps while it trains: callbacks in the order in which they act."""

import functools
import os
import signal
import sys
import time

import keras
import numpy as np
from tqdm import tqdm

from and_tf.methods.anchor_neighbourhoods.curriculum import NeighbourhoodCurriculum
from and_tf.methods.rounds import RoundPlan
from and_tf.runs import checkpoint
from and_tf.runs.events import EventLog
from and_tf.runs.outbox import Outbox, attempt
from and_tf.runs.workdir import Workdir
from and_tf.training.online_evaluation import FIGURES, Monitor
from and_tf.training.pace import StepCounter, clock

BEST_BY = "knn_top1_train"

# Uniformity above this: the mean squared distance of two images is below 0.01 (of at most 4).
COLLAPSED = -0.02
SETTLED = 50  # steps; before, BatchNorm's averages are so far off that all embeddings look alike


class Evaluation(keras.callbacks.Callback):
    """Adds the monitor's figures to the logs every `every` epochs and at each round's end."""

    def __init__(self, monitor: Monitor, plan: RoundPlan, every: int, is_epoch_end):
        super().__init__()
        self.monitor, self.plan, self.every = monitor, plan, every
        self.is_epoch_end = is_epoch_end
        self.has_warned = False

    def on_epoch_end(self, epoch, logs=None):
        due = self.plan.ends_round(epoch) or (self.every and (epoch + 1) % self.every == 0)
        if due and self.is_epoch_end():
            step = int(self.model.optimizer.iterations.numpy())
            try:
                figures = self.monitor.measure(self.model)
            except ValueError as error:  # embeddings that are no numbers, say
                error.args = (f"The evaluation after step {step}: {error}",)
                raise
            if step >= SETTLED:
                self._warn_of_collapse(figures)
            logs.update(figures)

    def _warn_of_collapse(self, figures):
        if figures["uniformity"] > COLLAPSED and not self.has_warned:
            self.has_warned = True
            tqdm.write(
                f"Warning: all embeddings are almost equal (uniformity {figures['uniformity']:.3f},"
                f" effective rank {figures['effective_rank']:.1f}): the network has collapsed. "
                "Lower --learning_rate or raise --crop_min_area.",
                file=sys.stderr,
            )


class RunLog(keras.callbacks.Callback):
    """Writes each epoch to metrics.jsonl, TensorBoard and the terminal, with time left."""

    def __init__(
        self,
        run: Workdir,
        outbox: Outbox,
        counter: StepCounter,
        schedule,
        num_samples: int,
        total_steps: int,
        steps_per_epoch: int,
    ):
        super().__init__()
        self.run, self.outbox, self.counter = run, outbox, counter
        self.schedule, self.num_samples = schedule, num_samples
        self.total_steps, self.steps_per_epoch = total_steps, steps_per_epoch
        self.events = None
        self.bar = None

    def on_train_begin(self, logs=None):
        self.events = self.events or EventLog(self.run)
        self.raw_pixels = self.run.read_facts().get("raw_pixels_knn_top1")
        if self.bar is None:
            done, quiet = self.counter.step, not sys.stderr.isatty()
            self.bar = tqdm(total=self.total_steps, initial=done, unit="step", disable=quiet)
            self.started, self.first_step = time.monotonic(), done

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch_started = time.monotonic()
        self.epoch_first_step = self.counter.step

    def on_train_batch_end(self, batch, logs=None):
        self.bar.update(self.counter.step - self.bar.n)
        self.batch_ended = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        step = self.counter.step
        if step % self.steps_per_epoch:
            return  # stopped in the middle: the continued run reports the epoch
        seconds = self.batch_ended - self.epoch_started
        share = (step - self.epoch_first_step) / self.steps_per_epoch
        figures = {name: value for name, value in logs.items() if name != "round"}
        figures["learning_rate"] = float(self.schedule(step - 1))  # of the epoch's last step
        figures["images_per_second"] = share * self.num_samples / seconds
        place = {"step": step, "epoch": epoch + 1, "round": logs["round"]}
        evaluation = {name: figures.pop(name) for name in FIGURES if name in figures}
        records = [place | part for part in (figures, evaluation) if part]
        self.outbox.write("metrics.jsonl", functools.partial(self.run.append_metrics, records))
        for record in records:
            self.events.write(record)
        self._say(place, figures | evaluation)

    def on_train_end(self, logs=None):
        self.events.flush()

    def close(self) -> None:
        """Ends the progress bar and the event file."""
        if self.bar is not None:
            self.bar.close()
            self.events.close()

    def _say(self, place, figures):
        spent = time.monotonic() - self.started
        left = spent / (place["step"] - self.first_step) * (self.total_steps - place["step"])
        words = [
            f"epoch {place['epoch']}/{self.total_steps // self.steps_per_epoch}",
            f"round {place['round']}",
            f"loss {figures['loss']:.3f}",
            f"lr {figures['learning_rate']:.2g}",
            f"{figures['images_per_second']:,.0f} images/s",
            f"{clock(left)} left",
        ]
        if "knn_top1" in figures:
            raw = "" if self.raw_pixels is None else f", raw pixels {self.raw_pixels:.1f} %"
            words.append(
                f"kNN {figures['knn_top1']:.1f} % (bank {figures['knn_top1_bank']:.1f} %{raw})"
            )
        elif "effective_rank" in figures:
            words.append(f"effective rank {figures['effective_rank']:.1f}")
            if "neighbours_kept" in figures:
                words.append(f"{figures['neighbours_kept']:.0f} % of neighbours kept")
        tqdm.write("  ".join(words), file=sys.stdout)
        sys.stdout.flush()


class RoundEnds(keras.callbacks.Callback):
    """Keeps encoder, entropy, anchors and neighbours at the end of each round for good."""

    def __init__(self, run: Workdir, outbox: Outbox, plan: RoundPlan, is_epoch_end):
        super().__init__()
        self.run, self.outbox, self.plan = run, outbox, plan
        self.is_epoch_end = is_epoch_end

    def on_epoch_end(self, epoch, logs=None):
        if self.plan.ends_round(epoch) and self.is_epoch_end():
            number = self.plan.round_of(epoch)
            step = int(self.model.optimizer.iterations.numpy())
            facts = {"step": step, "epoch": epoch + 1, "round": number}
            arrays = checkpoint.values(checkpoint.round_state(self.model))
            path = self.run.round_file(number)
            self.outbox.write(path.name, functools.partial(checkpoint.save, path, arrays, facts))


class Checkpoints(keras.callbacks.Callback):
    """Saves every so many epochs, steps and minutes, at round ends, and when asked to stop.

    Keeps the last two checkpoints, and the encoder that did best on held-out training images.
    Ctrl-C and SIGTERM end training after the step and a checkpoint; a second one ends at once.
    Where an execution holds several steps, all this happens at the end of the execution.
    """

    def __init__(
        self,
        run: Workdir,
        outbox: Outbox,
        curriculum: NeighbourhoodCurriculum,
        monitor: Monitor,
        counter: StepCounter,
        plan: RoundPlan,
        is_epoch_end,
        first_step: int,
        epochs: int,
        steps: int,
        minutes: float,
    ):
        super().__init__()
        self.run, self.outbox = run, outbox
        self.curriculum, self.monitor, self.counter = curriculum, monitor, counter
        self.plan, self.is_epoch_end = plan, is_epoch_end
        self.epochs, self.steps, self.seconds = epochs, steps, 60 * minutes
        self.stop_asked = False
        self.saved_step = self.tried_step = first_step
        self.saved_at = time.monotonic()
        self.loss_to_restore: list[np.ndarray] = []

    def watch_signals(self) -> None:
        """Lets Ctrl-C and SIGTERM ask for a stop, until `unwatch_signals`."""
        self._previous = {
            number: signal.signal(number, self._ask_to_stop)
            for number in (signal.SIGINT, signal.SIGTERM)
        }

    def unwatch_signals(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _ask_to_stop(self, number, frame):
        self.stop_asked = True
        self.unwatch_signals()
        # Not `print`, which the signal may have interrupted.
        os.write(1, b"Stopping soon, after a checkpoint; once more to stop at once.\n")

    def on_epoch_begin(self, epoch, logs=None):
        # `fit` has reset the running loss of an epoch that is continued in its middle.
        for variable, value in zip(
            self.model.loss_tracker.variables, self.loss_to_restore, strict=False
        ):
            variable.assign(value)
        self.loss_to_restore = []
        if self.stop_asked:
            self.model.stop_training = True

    def on_train_batch_end(self, batch, logs=None):
        # An epoch's last step is saved with the epoch's end, after its figures and round are
        # written: a kill between the two would lose them.
        if self._is_due() and not self.is_epoch_end():
            self.save()
        if self.stop_asked:
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        is_best = bool(logs) and logs.get(BEST_BY, -1) > self.monitor.best
        if is_best:
            self.monitor.best = logs[BEST_BY]
            self._save_best(epoch)
        is_epoch_due = self.epochs and (epoch + 1) % self.epochs == 0
        # Also the best, for a run that is continued must know of it.
        if is_epoch_due or is_best or self.plan.ends_round(epoch) or self._is_due():
            self.save()
        if self.stop_asked:
            self.model.stop_training = True

    def _is_due(self):
        # An execution of several steps may pass the step that is due.
        is_step_due = self.steps and self.counter.step // self.steps > self.tried_step // self.steps
        is_time_due = time.monotonic() - self.saved_at > self.seconds
        return is_step_due or is_time_due or self.stop_asked

    def save(self) -> None:
        """Writes the state, unless it is written already or what belongs before it cannot be."""
        step = int(self.model.optimizer.iterations.numpy())
        # Also of a vain attempt: not to try at every step.
        self.saved_at, self.tried_step = time.monotonic(), step
        if step == self.saved_step or not self.outbox.flush():
            return
        arrays = checkpoint.values(checkpoint.training_state(self.model) | self.monitor.state)
        facts = {"step": step, "curriculum": self.curriculum.figures, "best": self.monitor.best}
        paths = self.run.checkpoint, self.run.previous_checkpoint
        try:
            if attempt(
                "the checkpoint", lambda: checkpoint.save(paths[0], arrays, facts, paths[1])
            ):
                self.saved_step = step
        except ValueError as error:
            raise ValueError(
                f"The state after step {step}: {error} Lower --learning_rate, in another "
                "--workdir. The last checkpoint is kept."
            ) from error

    def _save_best(self, epoch):
        step = int(self.model.optimizer.iterations.numpy())
        facts = {"step": step, "epoch": epoch + 1, BEST_BY: self.monitor.best}
        arrays = checkpoint.values(checkpoint.round_state(self.model))
        path = self.run.best_checkpoint
        save = functools.partial(checkpoint.save, path, arrays, facts)
        self.outbox.write(path.name, save, replaces=True)
