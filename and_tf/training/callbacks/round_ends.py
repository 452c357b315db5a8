"""The state at the end of each round, kept for good."""

import keras

from and_tf.methods.rounds import RoundPlan
from and_tf.runs import checkpoint
from and_tf.runs.workdir import Workdir
from and_tf.training.callbacks.step_counter import StepCounter


class RoundEnds(keras.callbacks.Callback):
    """Keeps the encoder, and what the method keeps of a round, at the end of each round."""

    def __init__(self, run: Workdir, counter: StepCounter, plan: RoundPlan):
        super().__init__()
        self.run, self.counter, self.plan = run, counter, plan

    def on_epoch_end(self, epoch, logs=None):
        if self.plan.ends_round(epoch) and self.counter.is_epoch_end:
            number = self.plan.round_of(epoch)
            metadata = {"step": self.counter.step, "epoch": epoch + 1, "round": number}
            self.run.save_round(checkpoint.values(checkpoint.round_state(self.model)), metadata)
