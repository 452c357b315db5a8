"""The commands that the page of a folder shows."""

import shlex

from and_tf.cli import embed, search
from and_tf.cli.embed import _commands


def test_the_commands_on_the_page_are_taken_by_their_programs_whatever_the_paths():
    values = {"images": "my photos", "output": "a b.parquet"}
    (_, first), (_, second) = _commands(values, values["output"])
    assert first.startswith("python embed.py ") and second.startswith("python search.py ")
    assert embed.flags().parse(shlex.split(first)[2:])["images"] == "my photos"
    assert search.flags().parse(shlex.split(second)[2:])["index"] == "a b.parquet"
