"""The paper's table: its layout, what it compares, and what stands below it."""

import json

import pytest
from helpers import programs as real
from helpers.fake_programs import Ended, FakePrograms, start_by

from benchmarks import paper_table as module
from benchmarks import runs

BASE = {"random": 10.0, "split_brain": 20.0, "deepcluster": 30.0, "instance": 40.0, "and": 50.0}
FLAGS = [
    "--data=tfds:cifar10", "--epochs=5", "--", "--train_split=train[:5000]",
    "--eval_split=test[:2000]",
]  # fmt: skip


def result(settings, kind, split):
    """kNN of seeds 0, 1, 2 lies 0, 1 and 5 above the method's base; linear is 5 better."""
    base = BASE.get(settings.choice.method, 60.0) + (0, 1, 5)[settings.run.seed]
    return base + 5 * (kind == "linear")


@pytest.fixture
def programs(monkeypatch):
    fake = FakePrograms(result)
    start_by(monkeypatch, fake)
    return fake


def table(folder, *flags, of_all=FLAGS):
    options = module.parser().parse_args([f"--folder={folder}", *flags, *of_all])
    return module.PaperTable(options, [runs.MACHINE])


def carried_out(folder, *flags, of_all=FLAGS):
    found = table(folder, *flags, of_all=of_all)
    found.carry_out()
    return found


def test_it_has_the_papers_layout_with_published_results_in_brackets(programs, tmp_path):
    carried_out(tmp_path)
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert lines[2:10] == [
        "| method | seeds | weighted kNN, fc | linear, conv5 |",
        "|---|---|---|---|",
        "| random | 3 | 12.0 (2.6) | 17.0 (2.6) |",
        "| Split-Brain | 3 | 22.0 (2.6) [11.7] | 27.0 (2.6) [67.1] |",
        "| DeepCluster | 3 | 32.0 (2.6) [62.3] | 37.0 (2.6) [77.9] |",
        "| Instance | 3 | 42.0 (2.6) [60.3] | 47.0 (2.6) [70.1] |",
        "| AND | 3 | 52.0 (2.6) [74.8] | 57.0 (2.6) [77.6] |",
        "| supervised | 3 | 62.0 (2.6) [91.9] | 67.0 (2.6) [91.8] |",
    ]


def test_the_json_holds_each_value(programs, tmp_path):
    carried_out(tmp_path, "--methods=and")
    (row,) = json.loads((tmp_path / "table.json").read_text())["rows"]
    knn = row["weighted kNN, fc"]
    assert knn["values"] == [50, 51, 55] and knn["mean"] == 52 and knn["published"] == 74.8
    assert knn["std"] == pytest.approx(7**0.5)
    assert row["flags"] == ["--rounds=4", "--epochs_per_round=1"] and len(row["seconds"]) == 3


def test_the_text_holds_the_same_table(programs, tmp_path):
    text = carried_out(tmp_path, "--methods=and,random", "--seeds=1").text()
    assert "method  seeds  weighted kNN, fc  linear, conv5\n" in text
    assert "AND     1      50.0 [74.8]       55.0 [77.6]\n" in text
    assert "random  1      10.0              15.0\n" in text


def test_the_notes_say_what_may_be_compared(programs, tmp_path):
    notes = "\n".join(carried_out(tmp_path, "--methods=and,deepcluster").notes())
    assert "not comparable" in notes and "arxiv.org/abs/1904.11567" in notes
    for reason in ("5,000 training images, not 50,000", "2,000 test images"):
        assert reason in notes
    assert "AND: --rounds=4 --epochs_per_round=1 (not as published: 5 epochs, not 1,000)" in notes
    assert "on 2,000 images is up to 1.1 points" in notes
    assert "DeepCluster: --rounds=0 --epochs_per_round=5 --learning_rate=0.05" in notes
    assert "5 epochs of 40 steps, encoder" in notes


def test_the_notes_say_where_the_methods_take_other_steps(programs, tmp_path):
    methods = "--methods=and,deepcluster"
    notes = carried_out(tmp_path, methods, "--of=deepcluster --batch_size=256").notes()
    assert "5 epochs, not of the same number of steps, encoder" in "\n".join(notes)


def test_nothing_stands_in_brackets_for_other_images(programs, tmp_path):
    found = carried_out(
        tmp_path, "--methods=and", "--seeds=1", of_all=["--data=digits", "--epochs=5"]
    )
    assert [row["weighted kNN, fc"] for row in found.rows()] == ["50.0"]
    assert "Nothing is published on digits" in "\n".join(found.notes())


def test_a_method_that_is_not_published_has_no_brackets(programs, tmp_path):
    found = carried_out(tmp_path, "--methods=random", "--seeds=1")
    assert found.rows()[0]["weighted kNN, fc"] == "10.0"
    assert "Nothing is published on CIFAR-10 for these methods." in found.notes()


def test_every_method_trains_for_as_many_epochs(tmp_path):
    found = table(tmp_path)
    settings = {name: real.read_settings(found.run(name, 0).flags) for name in module.CARDS}
    plans = {name: one.method.plan for name, one in settings.items()}
    assert plans.pop("random").total_epochs == 0
    assert {plan.total_epochs for plan in plans.values()} == {5}
    assert plans["and"] == plans["instance"] and plans["and"].rounds == 4
    assert {name for name, plan in plans.items() if plan.rounds} == {"and", "instance"}
    assert settings["and"].optimizer == settings["instance"].optimizer
    assert {one.optimizer.batch_size for one in settings.values()} == {128}
    assert {one.data for one in settings.values()} == {settings["and"].data}
    assert {one.encoder for one in settings.values()} == {settings["and"].encoder}


LONGER_ROUND_0 = """--data=digits
--encoder=resnet_small
--first_round_epochs=4
"""


def test_the_first_round_of_a_card_changes_no_methods_epochs(tmp_path):
    card = tmp_path / "card.cfg"
    card.write_text(LONGER_ROUND_0)
    found = table(tmp_path, f"--card={card}", of_all=["--epochs=10"])
    for method in ("and", "instance", "deepcluster", "supervised", "split_brain"):
        assert real.read_settings(found.run(method, 0).flags).method.plan.total_epochs == 10


@pytest.mark.parametrize(
    ("flags", "of_all"),
    [(["--methods=and"], [*FLAGS, "--first_round_epochs=3"]), (["--of=and --rounds=2"], FLAGS),
     (["--of=supervised --epochs_per_round=3"], FLAGS)],
)  # fmt: skip
def test_a_method_that_would_train_for_other_epochs_is_refused(programs, tmp_path, flags, of_all):
    with pytest.raises(SystemExit, match=r"would be trained for [37] epochs, not for --epochs=5"):
        carried_out(tmp_path, *flags, of_all=of_all)
    assert not programs.commands


@pytest.mark.parametrize("card", ["cifar10_best", "folder_quick"])
def test_two_views_where_other_methods_see_one_are_refused(programs, tmp_path, card):
    flags = [f"--card=configs/{card}.cfg", "--methods=and,deepcluster"]
    with pytest.raises(SystemExit, match=r"AND would see 2 views .*--of=\"and --views=1 --group"):
        carried_out(tmp_path, *flags)
    assert not programs.commands
    carried_out(tmp_path, *flags, "--seeds=1", "--of=and --views=1 --group_weight=0")


def test_the_notes_name_the_options_of_a_method(programs, tmp_path):
    flags = ["--methods=and,instance", "--seeds=1", "--of=instance --entropy_weight=0.2"]
    notes = "\n".join(carried_out(tmp_path, *flags).notes())
    assert "--entropy_weight=0.2 (with entropy weight 0.2; for how many epochs" in notes
    own = carried_out(tmp_path / "own", *flags, of_all=["--data=digits", "--epochs=5"]).notes()
    assert "Instance: --rounds=4 --epochs_per_round=1 --entropy_weight=0.2 (with entr" in own[-1]


@pytest.mark.parametrize("is_grey", [True, False])
def test_the_notes_say_where_split_brain_has_nothing_to_predict(programs, tmp_path, is_grey):
    found = carried_out(tmp_path, "--methods=split_brain", "--seeds=1")
    workdir = found.results.workdir("split_brain")
    mean = [100.0, 100.0, 100.0 if is_grey else 99.0]
    workdir.write_metadata(workdir.read_metadata() | {"mean": mean, "std": [50.0] * 3})
    assert ("the images are grey" in "\n".join(found.notes())) is is_grey


def test_seeds_are_in_the_order_of_their_numbers(programs, tmp_path):
    found = table(tmp_path, "--methods=and")
    found.results.finished = [found.run("and", seed) for seed in (10, 2, 0)]
    assert [run.name for run in found.results._of("and")] == ["and_0", "and_2", "and_10"]


def test_flags_of_every_run_that_a_method_refuses_are_refused_in_its_words(programs, tmp_path):
    wrong = r"--first_round_epochs=3 belongs to a curriculum"
    with pytest.raises(SystemExit, match=wrong) as refused:
        carried_out(tmp_path, of_all=[*FLAGS, "--first_round_epochs=3"])
    assert "--folder" not in str(refused.value)  # there is nothing in it yet
    assert not programs.commands


def test_each_method_has_what_its_original_asks_for(tmp_path):
    found = table(tmp_path, "--of=supervised --weight_decay=0.1")
    read = {name: real.read_settings(found.run(name, 0).flags) for name in module.CARDS}
    colours = {
        name: (one.augmentation.color_jitter, one.augmentation.grey) for name, one in read.items()
    }
    assert colours.pop("split_brain") == (0, 0) and set(colours.values()) == {(0.4, 0.2)}
    deepcluster = read["deepcluster"].optimizer
    assert deepcluster.lr_policy == "constant" and deepcluster.learning_rate == 0.05
    assert read["deepcluster"].method.num_clusters == 0  # by the number of classes
    assert read["supervised"].optimizer.weight_decay == 0.1


def test_the_batch_size_of_the_card_serves_all_methods(tmp_path):
    found = table(tmp_path, "--card=configs/photos.cfg", of_all=["--epochs=5"])
    read = [real.read_settings(found.run(name, 0).flags) for name in module.CARDS]
    assert {one.optimizer.batch_size for one in read} == {64}


def test_the_last_checkpoint_is_evaluated(programs, tmp_path):
    carried_out(tmp_path, "--methods=and", "--seeds=1")
    evaluations = [words[2:] for words in programs.commands if words[0] == "evaluate.py"]
    assert evaluations == [["--classifier=knn"], ["--classifier=linear", "--layer=conv5"]]


def test_all_methods_come_before_the_next_seed_and_the_table_grows(programs, tmp_path):
    programs.broken = "and_1"
    with pytest.raises(SystemExit, match="and_1"):
        carried_out(tmp_path, "--methods=instance,and", "--seeds=2")
    assert programs.trained() == ["instance_0", "and_0", "instance_1", "and_1"]
    grown = (tmp_path / "table.md").read_text()
    assert "| Instance | 2 |" in grown and "| AND | 1 | 50.0 [74.8] |" in grown


def test_a_killed_table_goes_on(programs, tmp_path):
    programs.broken = "and_1"
    with pytest.raises(SystemExit):
        carried_out(tmp_path, "--methods=instance,and", "--seeds=2")
    programs.broken = ""
    carried_out(tmp_path, "--methods=instance,and", "--seeds=2")
    assert programs.trained() == ["instance_0", "and_0", "instance_1", "and_1", "and_1"]
    assert "| AND | 2 | 50.5 (0.7) [74.8] |" in (tmp_path / "table.md").read_text()


@pytest.mark.parametrize(
    "of_all", [["--data=tfds:cifar10", "--epochs=10"], [*FLAGS, "--momentum=0.5"],
               ["--data=digits", *FLAGS[1:]]]
)  # fmt: skip
def test_results_of_other_options_are_refused(programs, tmp_path, of_all):
    carried_out(tmp_path, "--methods=and")
    before = (tmp_path / "table.md").read_text()
    with pytest.raises(SystemExit, match=r"holds a run with other settings .* another --folder"):
        carried_out(tmp_path, "--methods=and", of_all=of_all)
    assert (tmp_path / "table.md").read_text() == before and len(programs.trained()) == 3


def test_epochs_that_five_rounds_cannot_share_are_refused(tmp_path):
    with pytest.raises(SystemExit, match="--epochs=7 is not a multiple of 5"):
        table(tmp_path, of_all=["--data=digits", "--epochs=7"])


def test_an_unknown_method_is_refused(tmp_path):
    with pytest.raises(SystemExit, match=r"Unknown: simclr\. Known: random"):
        table(tmp_path, "--methods=and,simclr")


@pytest.mark.usefixtures("no_exports", "thin_resnet")
def test_the_real_programs_fill_the_table(tmp_path, monkeypatch):
    commands = []

    def start(command, log, device):
        commands.append(command)
        program = {"train.py": real.train, "evaluate.py": real.evaluate}[command[0]]
        return Ended(status=program(command[1:]))

    start_by(monkeypatch, start)
    tiny = [
        "--card=configs/smoke.cfg", "--epochs=5", "--", "--train_split=train[:40]",
        "--eval_split=test[:20]", "--embedding_dim=8", "--batch_size=16",
    ]  # fmt: skip
    (row,) = carried_out(tmp_path, "--methods=random", "--seeds=1", of_all=tiny).rows()
    assert all(0 <= float(row[name]) <= 100 for name in ("weighted kNN, fc", "linear, conv5"))
    assert [command[0] for command in commands] == ["train.py", "evaluate.py", "evaluate.py"]
    carried_out(tmp_path, "--methods=random", "--seeds=1", of_all=tiny)
    assert len(commands) == 3  # nothing is done again
