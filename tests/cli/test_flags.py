import dataclasses

import pytest

from and_tf.cli import embed, evaluate, export, report, train
from and_tf.cli.flags import Flags
from and_tf.errors import Argument, UserError
from and_tf.settings import Settings, at_least, between, setting

PROGRAMS = {
    "train": train, "evaluate": evaluate, "report": report, "export": export, "embed": embed,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Sample(Settings):
    """Sample settings."""

    name: str = setting("a", "Name.", choices=("a", "b"))
    folder: str | None = setting(None, "Folder.")
    count: int = setting(3, "Count.", at_least(1))
    rate: float = setting(0.5, "Rate.", between(0, 1))
    sizes: tuple[int, ...] | None = setting(None, "Sizes.")
    is_on: bool = setting(False, "Switch.")


def flags():
    return Flags(
        "sample.py", "A sample.", ("python sample.py", "python sample.py --is_on"), [Sample]
    )


def test_flags_give_values_of_the_types_of_their_fields():
    argv = ["--name=b", "--count=7", "--rate=1", "--sizes=1,5", "--is_on", "--folder="]
    values = flags().parse(argv)
    assert values == {
        "name": "b", "folder": "", "count": 7, "rate": 1.0, "sizes": (1, 5), "is_on": True,
    }  # fmt: skip


def test_flags_that_are_not_given_are_left_to_the_defaults_of_the_settings():
    assert flags().parse(["--count=3"]) == {"count": 3}


def test_a_flagfile_is_read_and_later_flags_win(tmp_path):
    card = tmp_path / "card.cfg"
    card.write_text("# a comment\n--count=7\n--nois_on\n")
    assert flags().parse([f"--flagfile={card}", "--count=8"])["count"] == 8


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--count=x"], "--count=x: must be a whole number"),
        (["--sizes=1,x"], "--sizes=1,x: must be whole numbers separated by commas"),
        (["--colour=red"], "There is no flag --colour: see --help"),
        (["--cuont=3"], "There is no flag --cuont: did you mean --count"),
        (["stray"], "unexpected argument 'stray'"),
        (["--flagfile=/nowhere.cfg"], "--flagfile=/nowhere.cfg cannot be read: No such file"),
    ],
)
def test_a_bad_flag_is_refused_with_its_name(argv, words):
    with pytest.raises(UserError, match=words):
        flags().parse(argv)


def test_home_is_expanded_at_the_start_of_a_value(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    assert flags().parse(["--folder=~/photos"])["folder"] == "/home/someone/photos"
    assert flags().parse(["--folder", "~/photos"])["folder"] == "/home/someone/photos"
    assert flags().parse(["--folder=a~b"])["folder"] == "a~b"


@pytest.mark.parametrize("form", ["--flagfile={}", "--flagfile {}"])
def test_home_is_expanded_in_flagfiles_and_their_names(form, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "card.cfg").write_text("--folder=~/photos\n")
    found = flags().parse(form.format("~/card.cfg").split())
    assert found["folder"] == f"{tmp_path}/photos"


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        (Argument("count", 3), "--count=3"), (Argument("count"), "--count"),
        (Argument("is_on", True), "--is_on"), (Argument("is_on", False), "--nois_on"),
        (Argument("sizes", (1, 5)), "--sizes=1,5"), (Argument("other", 3), "other=3"),
        (Argument("folder", "a\n\udce9"), r"--folder=a\n\udce9"),
    ],
)  # fmt: skip
def test_an_argument_is_spelled_as_its_flag_where_there_is_one(argument, text):
    assert flags().spell(argument) == text


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_exits_with_0_and_shows_usage_examples_and_every_flag(program, word, capsys):
    with pytest.raises(SystemExit) as ended:
        PROGRAMS[program].main([word])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert shown.startswith(f"usage: python {program}.py")
    assert shown.count(f"python {program}.py") >= 3  # the usage and two examples
    found = PROGRAMS[program].flags()
    assert all(f"--{name}" in shown or f"--[no]{name}" in shown for name in found.fields)
    assert all(f"\n{field.group}:\n" in shown for field in found.fields.values())


def test_help_wins_over_other_flags(capsys):
    with pytest.raises(SystemExit) as ended:
        embed.main(["--help", "--output=x"])
    assert ended.value.code == 0 and "usage" in capsys.readouterr().out


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_examples_use_flags_that_exist(program):
    found = PROGRAMS[program].flags()
    for example in found.examples:
        words = [word for word in example.split() if word.startswith("--")]
        names = {word[2:].partition("=")[0] for word in words}
        assert names <= {*found.fields, "flagfile"}
