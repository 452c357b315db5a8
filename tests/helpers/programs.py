"""The programs by name: `programs.train(argv)` gives the exit status."""

from and_tf.cli.embed import main as embed
from and_tf.cli.evaluate import main as evaluate
from and_tf.cli.export import main as export
from and_tf.cli.report import main as report
from and_tf.cli.train import main as train
from and_tf.cli.train import read_settings

__all__ = ["embed", "evaluate", "export", "read_settings", "report", "train"]
