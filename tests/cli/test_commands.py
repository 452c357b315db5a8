import pytest

from and_tf.cli.commands import command, with_installed_names


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr("sys.argv", ["/usr/local/bin/and-embed", "--images=x"])


def test_in_a_checkout_programs_are_files_that_python_runs(monkeypatch):
    monkeypatch.setattr("sys.argv", ["/work/embed.py"])
    assert command("train") == "python train.py"
    assert with_installed_names("run evaluate.py") == "run evaluate.py"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("python train.py --name=x", "and-train --name=x"),
        ("run evaluate.py.", "run and-evaluate."),
        ("`python train.py`, then report.py", "`and-train`, then and-report"),
        ("the file /home/me/train.py", "the file /home/me/train.py"),
        ("my_train.py and train.python", "my_train.py and train.python"),
        ("setup.py", "setup.py"),
    ],
)
def test_installed_programs_are_named_as_installed(text, shown, installed):
    assert command("train") == "and-train"
    assert with_installed_names(text) == shown
