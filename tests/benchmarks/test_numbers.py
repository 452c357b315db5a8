"""Numbers and names in the command lines of tables."""

import pytest

from benchmarks import options, paper_table, when_neighbours_pay

READ = {
    "options": options.parser().parse_args,
    "paper_table": lambda argv: paper_table.parser().parse_args(["--epochs=5", *argv]),
    "when_neighbours_pay": when_neighbours_pay.read_options,
}


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", ""])
@pytest.mark.parametrize("program", READ)
def test_a_number_of_seeds_below_one_is_refused(program, value, capsys):
    with pytest.raises(SystemExit) as ended:
        READ[program]([f"--seeds={value}"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "--seeds" in said and f"{value!r} is not a whole number from 1 on" in said
    assert READ[program](["--seeds=2"]).seeds == 2


@pytest.mark.parametrize("flag", ["--first_round_epochs=0", "--rounds=0", "--epochs_per_round=0"])
def test_rounds_without_an_epoch_are_refused(flag, capsys):
    with pytest.raises(SystemExit):
        when_neighbours_pay.read_options([flag])
    assert "'0' is not a whole number from 1 on" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("of", "reason"), [("", "names no method"), ("and '--x", "cannot be split (No closing")]
)
def test_flags_of_no_method_are_refused(of, reason, capsys):
    with pytest.raises(SystemExit):
        READ["paper_table"]([f"--of={of}"])
    assert reason in capsys.readouterr().err
