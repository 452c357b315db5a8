"""The table of options: its runs, their equal work, and by what settings are chosen."""

import json
from collections import Counter

import pytest
from helpers import programs as real
from helpers.fake_programs import FakePrograms, start_by

from and_tf.runs.workdir import Workdir
from benchmarks import options as module
from benchmarks import runs

FLAGS = ["--rates=0.03,0.06", "--seeds=3", "--work=4", "--card=configs/smoke.cfg"]


def result(settings, kind, split):
    """The higher rate wins on the images to choose by, and loses on those of the table."""
    is_high = settings.optimizer.learning_rate == 0.06
    if split == "train[5000:7000]":
        return 40.0 + is_high
    assert split == "test[:2000]"
    return (30.0, 31.0, 35.0)[settings.run.seed] + 20 * (not is_high)


@pytest.fixture
def programs(monkeypatch):
    fake = FakePrograms(result)
    start_by(monkeypatch, fake)
    return fake


def table(folder, *flags):
    options = module.parser().parse_args([*FLAGS, f"--folder={folder}", *flags])
    return module.Table(options, [runs.MACHINE])


def test_the_settings_are_chosen_on_the_images_to_choose_by_alone(programs, tmp_path):
    (row,) = table(tmp_path, "--variants=and").rows()
    assert row["chosen"] == "--method=and --learning_rate=0.06"  # though it is worse on the test
    assert row["kNN, %"] == "32.0" and row["seeds"] == "30.0, 31.0, 35.0"
    assert row["std"] == "2.6"  # of a sample
    assert row["on images to choose by, %"] == "41.0" and row["last consistency, %"] == ""
    assert "Seed 0 chose" in module.NOTE


def test_only_the_chosen_runs_see_the_test_images(programs, tmp_path):
    table(tmp_path, "--variants=instance").rows()
    of_high = [f"method=instance_learning_rate=0.06_seed={seed}" for seed in range(3)]
    assert programs.evaluated() == of_high
    assert programs.trained() == ["method=instance_learning_rate=0.03_seed=0", *of_high]


def test_images_to_choose_by_without_labels_end_the_table_at_its_first_run(
    programs, tmp_path, monkeypatch
):
    monkeypatch.setattr(Workdir, "read_metrics", lambda run: [{"epoch": 5, "loss": 1.0}])
    with pytest.raises(SystemExit, match=r"has no kNN on --tune=train\[5000:7000\]"):
        table(tmp_path, "--variants=and").rows()
    assert len(programs.trained()) == 1


def test_names_of_runs_stay_what_they_are(tmp_path):
    (one, _) = module.candidates("and+views+flip", "0.03,0.06")
    assert one.name == "method=and_views=2_flip_learning_rate=0.03_seed=0"


def test_all_variants_do_equal_work_with_as_many_candidates(tmp_path):
    found = table(tmp_path)
    tried = [one for name in module.VARIANTS for one in module.candidates(name, "0.03,0.06")]
    assert set(Counter(one.variant for one in tried).values()) == {2}
    for one in tried:
        method = real.read_settings(found.run(one).flags).method
        assert method.views * method.plan.epochs_per_round == 4
    assert module.VARIANTS[-1] == "and+flip"


def test_work_that_two_views_cannot_do_is_refused(programs, tmp_path):
    with pytest.raises(SystemExit, match="--work=5 is not a multiple of 2 views"):
        table(tmp_path, "--work=5").rows()
    assert not programs.commands


@pytest.mark.parametrize("flag", ["--first_round_epochs=7", "--epochs_per_round=3", "--views=2"])
def test_flags_that_change_the_work_are_refused(programs, tmp_path, flag):
    with pytest.raises(SystemExit, match=r"are not the \d+ of --work=4 in each of \d rounds"):
        table(tmp_path, "--variants=instance", "--", flag).rows()
    assert not programs.commands


def test_the_first_round_of_a_card_is_as_long_as_the_others(tmp_path):
    card = tmp_path / "card.cfg"
    card.write_text("--data=digits\n--encoder=resnet_small\n--first_round_epochs=7\n")
    found = table(tmp_path, f"--card={card}")
    (one, _) = module.candidates("and+views", "0.03,0.06")
    assert real.read_settings(found.run(one).flags).method.plan.total_epochs == 5 * 2


def test_an_unknown_part_is_refused(programs, tmp_path):
    with pytest.raises(SystemExit, match=r"Unknown: nonsense\. Known: instance, and"):
        table(tmp_path, "--variants=and+nonsense").rows()


def test_a_table_that_broke_off_goes_on(programs, tmp_path):
    programs.broken = "method=and_learning_rate=0.06_seed=1"
    with pytest.raises(SystemExit, match="ended with status 1"):
        table(tmp_path, "--variants=and").rows()
    programs.broken = ""
    (row,) = table(tmp_path, "--variants=and").rows()
    assert row["seeds"] == "30.0, 31.0, 35.0"
    assert Counter(programs.trained()).most_common(1) == [
        ("method=and_learning_rate=0.06_seed=1", 2)
    ]


def test_a_record_of_an_earlier_version_is_taken_over(programs, tmp_path):
    table(tmp_path, "--variants=and").rows()
    path = tmp_path / "options.json"
    known = json.loads(path.read_text())
    old = {"tuned": 41.0, "seconds": 6.0, "test": 30.0}
    assert known["method=and_learning_rate=0.06_seed=0"].keys() == old.keys()
    path.write_text(json.dumps(dict.fromkeys(known, old)))
    count = len(programs.commands)
    (row,) = table(tmp_path, "--variants=and").rows()
    assert len(programs.commands) == count and row["seeds"] == "30.0, 31.0, 35.0"


@pytest.mark.parametrize(
    "flags",
    [["--work=6"], ["--train=train[:4000]"], ["--tune=train[9:]"], ["--card=configs/digits.cfg"],
     ["--", "--momentum=0.5"]],
)  # fmt: skip
def test_runs_of_other_options_are_refused(programs, tmp_path, flags):
    table(tmp_path, "--variants=and").rows()
    with pytest.raises(SystemExit, match=r"holds a run with other settings .* another --folder"):
        table(tmp_path, "--variants=and", *flags).rows()


def test_another_test_split_is_measured_anew(programs, tmp_path, monkeypatch):
    table(tmp_path, "--variants=and").rows()
    monkeypatch.setattr(programs, "result", lambda settings, kind, split: 70.0)
    (row,) = table(tmp_path, "--variants=and", "--test=test[2000:]").rows()
    assert row["seeds"] == "70.0, 70.0, 70.0" and len(programs.trained()) == 4
