"""What a run ends with: the verdict of its page, as lines of text."""

from helpers.report_runs import make_run, save_images

from and_tf.data.sources.opening import open_train_and_held_out
from and_tf.report.conclusion import conclude
from and_tf.runs.restore import restore_encoder
from and_tf.training.settings import read_settings


def lines_of(run):
    images = open_train_and_held_out(read_settings(run).data)
    return conclude(run, restore_encoder(run, "last").encoder, *images)


def test_a_run_ends_with_its_verdict_and_what_its_control_tells(tmp_path):
    data = save_images(tmp_path / "i.npz", 40, 4)
    run = make_run(tmp_path / "runs" / "and", data, "--rounds=1")
    first, *others = lines_of(run)
    assert first.startswith("Verdict: Better than always naming the largest class")
    place = others.index("Did the neighbours help?")
    assert any("This run alone cannot tell" in line for line in others[place:])
    make_run(tmp_path / "runs" / "plain", data, "--rounds=1", "--method=instance")
    text = " ".join(lines_of(run))
    assert "no measurable difference" in text and "without, in the run plain" in text


def test_a_run_without_neighbours_is_not_asked_about_them(tmp_path):
    data = save_images(tmp_path / "i.npz", 40, 4)
    run = make_run(tmp_path / "run", data, "--rounds=0", "--method=instance")
    assert not any("neighbours help" in line for line in lines_of(run))
