"""A method and an encoder of one's own, in one file, go through all programs as the package's."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from and_tf.methods import METHODS
from and_tf.runs import checkpoint
from and_tf.runs.workdir import Workdir

ROOT = pathlib.Path(__file__).parents[2]

# A user's file. The choices of a flag are read when a program is imported, as in a fresh process.
EXTENSION = '''
import dataclasses
import os
import signal
import sys

from and_tf.encoders import ENCODERS
from and_tf.methods import METHODS, Method
from and_tf.settings import at_least, setting


def build_two_stages(layers, x, embedding_dim, large=False):
    """Two convolutions."""
    for name in ("stem", "stage1"):
        x = layers.convolution(x, 8, 3, 2, name=f"{name}_conv")
        x = layers.relu(layers.batch_norm(x, name=f"{name}_bn"), name=name)
    return layers.embedding(layers.average_pool(x, name="average"), embedding_dim)


@dataclasses.dataclass(frozen=True)
class Parity(Method):
    """Parity."""

    title = "Parity of the index"
    published_name = "Parity"
    metric_titles = {"kept_steps": "kept steps"}

    classes: int = setting(2, "Classes, by the remainder of an image's index.", at_least(2))

    def build_model(self, encoder, train, seed):
        import keras
        import tensorflow as tf

        from and_tf.methods.method_model import MethodModel

        number = self.classes

        class ParityModel(MethodModel):
            def __init__(self, encoder, num_samples, **kwargs):
                super().__init__(encoder, num_samples, **kwargs)
                self.head = keras.layers.Dense(number, name="head")
                self.head.build(encoder.output_shape)

            def losses_and_gradients(self, images, indices, weights):
                with tf.GradientTape() as tape:
                    logits = self.head(self.encoder(images, training=True))
                    losses = keras.losses.sparse_categorical_crossentropy(
                        indices % number, logits, from_logits=True
                    )
                    loss = tf.reduce_sum(weights * losses)
                return losses, (), tape.gradient(loss, self.trainable_variables)

            def state(self):
                return {"head/kernel": self.head.kernel, "head/bias": self.head.bias}

        return ParityModel(encoder, len(train))

    def callbacks(self, context):
        import keras

        class Counter(keras.callbacks.Callback):
            """Counts steps over all starts; asks for a stop where the test wants one."""

            kept_steps = 0

            def on_train_batch_end(self, batch, logs=None):
                self.kept_steps += 1
                if self.kept_steps == int(os.environ.get("STOP_AFTER", 0)):
                    os.kill(os.getpid(), signal.SIGTERM)

            def on_epoch_end(self, epoch, logs=None):
                logs["kept_steps"] = self.kept_steps

            def metadata(self):
                return {"kept_steps": self.kept_steps}

            def restore(self, metadata):
                self.kept_steps = metadata["kept_steps"]

        return [Counter()]


ENCODERS["two_stages"] = build_two_stages
METHODS["parity"] = Parity

if __name__ == "__main__":
    import importlib

    for words in " ".join(sys.argv[1:]).split(" then "):
        program, *argv = words.split()
        if status := importlib.import_module(f"and_tf.cli.{program}").main(argv):
            sys.exit(status)
'''

TINY = [
    "--data=digits", "--method=parity", "--classes=3", "--encoder=two_stages",
    "--image_size=16", "--train_split=train[:150]", "--eval_split=test[:50]", "--rounds=1",
    "--epochs_per_round=2", "--batch_size=50", "--embedding_dim=8", "--deterministic",
]  # fmt: skip


@pytest.fixture
def program(tmp_path):
    (tmp_path / "extension.py").write_text(EXTENSION)

    def run(name, *argv, **environment):
        return subprocess.run(
            [sys.executable, tmp_path / "extension.py", name, *argv],
            env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
            capture_output=True,
            text=True,
            timeout=500,
        )

    return run


def test_a_method_and_an_encoder_of_ones_own_go_through_all_programs(program, tmp_path):
    run = Workdir(tmp_path / "run")
    folder = f"--workdir={run.path}"
    stopped = program("train", *TINY, folder, STOP_AFTER="4")  # within the second of four epochs
    assert stopped.returncode == 0, stopped.stderr
    arrays, metadata = checkpoint.load(run.checkpoint)
    assert (metadata["step"], metadata["kept_steps"]) == (4, 4) and not run.summary.exists()
    assert arrays["head/kernel"].shape == (8, 3)

    after = ("then", "evaluate", folder, "--classifier=knn", "then", "report", folder)
    continued = program("train", *TINY, folder, *after)
    assert continued.returncode == 0, continued.stderr
    assert "Continuing" in continued.stderr
    records = [record for record in run.read_metrics() if "loss" in record]
    assert [record["kept_steps"] for record in records] == [3, 6, 9, 12]
    assert "kNN" in run.summary.read_text()

    knn = records[-1].get("knn_top1") or run.read_metrics()[-1]["knn_top1"]
    (evaluation,) = run.evaluations.glob("*.json")
    assert f"{json.loads(evaluation.read_text())['top1']:.1f}" == f"{knn:.1f}"
    assert str(evaluation) in continued.stdout
    (page,) = run.path.rglob("*.html")
    assert "Parity of the index" in page.read_text()


def test_its_settings_are_flags_and_checked(program):
    helped = program("train", "--help")
    assert f"--method={'|'.join(METHODS)}|parity" in helped.stdout.replace("\n      ", "")
    assert "--classes=INT" in helped.stdout
    refused = program("train", *TINY, "--classes=1")
    assert refused.returncode == 2
    assert "--classes=1" in refused.stderr and "at least 2" in refused.stderr
