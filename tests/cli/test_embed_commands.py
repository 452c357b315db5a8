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


def test_switches_are_written_as_users_write_them():
    (_, command), _ = _commands({"update": True, "skip_broken": False}, "t.parquet")
    assert command.endswith("embed.py --update --noskip_broken")
