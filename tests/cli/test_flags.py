import dataclasses

import pytest

import and_tf
from and_tf.cli import embed, evaluate, export, report, train
from and_tf.cli.flags import Flags
from and_tf.errors import Argument, UserError
from and_tf.settings import Settings, at_least, between, setting
from and_tf.training.cards import cards

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
    "text",
    ["--count=7\n--nois_on\n", "# a comment\n--count=7\n", "\n--count=7\n", "// x\n--count=7"],
)
def test_a_byte_order_mark_is_no_part_of_a_flagfile(tmp_path, text):
    card = tmp_path / "card.cfg"
    card.write_text(text, encoding="utf-8-sig")
    assert flags().parse([f"--flagfile={card}"])["count"] == 7
    (tmp_path / "outer.cfg").write_text(f"--flagfile={card}\n--name=b\n", encoding="utf-8-sig")
    values = flags().parse([f"--flagfile={tmp_path / 'outer.cfg'}", "--count=8"])
    assert (values["count"], values["name"]) == (8, "b")


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


@pytest.fixture
def installed(monkeypatch):
    """As if a program were started by the name that pip gives it."""
    monkeypatch.setattr("sys.argv", ["/usr/local/bin/and-train"])


@pytest.mark.parametrize("program", PROGRAMS)
def test_installed_programs_are_called_by_their_installed_names(program, installed, capsys):
    with pytest.raises(SystemExit):
        PROGRAMS[program].main(["--help"])
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: and-{program} ") and f"  and-{program} --" in shown
    assert f"{program}.py" not in shown and "python" not in shown
    assert PROGRAMS[program].main(["--nonsense=1"]) == 2
    assert capsys.readouterr().err.startswith(f"and-{program}: ")


@pytest.mark.parametrize("program", PROGRAMS)
def test_version_is_printed_with_status_0(program, capsys):
    with pytest.raises(SystemExit) as ended:
        PROGRAMS[program].main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"{program}.py {and_tf.__version__}\n"


@pytest.mark.parametrize("form", ["--config={}", "--config {}"])
def test_a_card_is_read_by_its_name_or_its_path_and_later_flags_win(form, tmp_path):
    card = tmp_path / "mine.cfg"
    card.write_text("# my card\n--rounds=2\n--grey=0.5\n")
    flags = train.flags()
    assert flags.parse([*form.format(card).split(), "--rounds=3"]) == {"rounds": 3, "grey": 0.5}
    values = train.flags().parse([*form.format("digits").split(), "--rounds=3"])
    assert (values["data"], values["rounds"], values["epochs_per_round"]) == ("digits", 3, 16)


def test_the_cards_are_listed_with_what_they_train(capsys):
    with pytest.raises(SystemExit) as ended:
        train.main(["--config=list"])
    lines = capsys.readouterr().out.splitlines()
    assert ended.value.code == 0
    assert [line.split()[0] for line in lines] == sorted(cards())
    assert all(len(line.split()) > 5 and "#" not in line for line in lines)
    assert "folder" in cards() and "digits" in cards()


def test_a_card_that_is_not_there_is_refused_with_those_that_are(capsys):
    assert train.main(["--config=nothing"]) == 2
    shown = capsys.readouterr().err
    assert "'nothing'" in shown and "digits" in shown and "folder" in shown


def test_without_any_argument_train_names_three_commands_and_starts_nothing(capsys, tmp_path):
    assert train.main([]) == 2
    shown = capsys.readouterr().err
    assert shown.count("python train.py --config=") == 3 and "--data=PHOTOS" in shown


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
        assert names <= {*found.fields, "flagfile", *(["config"] if found.has_cards else [])}
