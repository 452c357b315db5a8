"""The report's plots: what they draw, and the SVG that a page embeds."""

import re
import xml.etree.ElementTree as ElementTree

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from and_tf.report.plots.accuracy_by_round import accuracy_by_round
from and_tf.report.plots.consistency_by_entropy import consistency_by_entropy
from and_tf.report.plots.deciles import consistency_deciles, stability_deciles
from and_tf.report.plots.drawing import GRID, INK, save_png, save_svg
from and_tf.report.plots.entropy_distribution import entropy_distribution
from and_tf.report.plots.label_free_curves import label_free_curves
from and_tf.report.plots.training_curves import training_curves
from and_tf.report.record import Discovery

SVG = "{http://www.w3.org/2000/svg}"


def epochs(count=6, per_round=2):
    records = []
    for epoch in range(1, count + 1):
        number = (epoch - 1) // per_round
        records.append({"epoch": epoch, "round": number, "loss": 9 / epoch, "learning_rate": 0.03})
        if number:
            records[-1]["consistency"] = 20.0 + epoch
        if number > 1:
            records[-1]["stability"] = 30.0 + epoch
    return records


def evaluations(per_round=2, count=6, labels=True):
    records = []
    for epoch in range(per_round, count + 1, per_round):
        record = {"epoch": epoch, "round": epoch // per_round - 1, "alignment": 0.5, "hubness": 2.0}
        record |= {"bank_agreement": 60.0, "effective_rank": 20.0}
        if labels:
            record |= {"knn_top1": 40.0 + epoch, "knn_top1_bank": 38.0 + epoch}
        records.append(record)
    return records


def found(count=40, rounds=3, k=2):
    """The discoveries of rounds 1 and 2."""
    rng = np.random.default_rng(0)
    made = []
    for number in range(rounds):
        entropy = rng.uniform(2, 3, count) - 0.2 * number
        is_anchor = np.argsort(np.argsort(entropy)) < count * number // 2 // (rounds - 1) * 2
        made.append(Discovery(number, entropy, rng.integers(0, count, (count, k)), is_anchor))
    return made[1:]


def texts(figure):
    root = ElementTree.fromstring(save_svg(figure, "alt"))
    return [element.text for element in root.iter(f"{SVG}text")]


def lines(axes):
    return {line.get_label(): line for line in axes.get_lines()}


def naive_consistency(entropy, neighbours, labels):
    """Image by image, in plain Python."""
    order = sorted(range(len(entropy)), key=lambda i: entropy[i])
    sizes = [len(entropy) // 10 + (d < len(entropy) % 10) for d in range(10)]
    shares, start = [], 0
    for size in sizes:
        hits = pairs = 0
        for i in order[start : start + size]:
            for j in neighbours[i]:
                if labels[i] != -1 and labels[j] != -1:
                    pairs += 1
                    hits += labels[i] == labels[j]
        shares.append(100 * hits / pairs if pairs else float("nan"))
        start += size
    return shares


@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 57), k=st.integers(1, 3), seed=st.integers(0, 99))
def test_consistency_deciles_match_a_loop_over_images_and_neighbours(count, k, seed):
    rng = np.random.default_rng(seed)
    entropy, labels = rng.random(count), rng.integers(-1, 3, count)
    neighbours = rng.integers(0, count, (count, k))
    found = consistency_deciles(entropy, neighbours, labels)
    np.testing.assert_allclose(found, naive_consistency(entropy, neighbours, labels))


def test_consistency_deciles_follow_the_images_not_their_order():
    rng = np.random.default_rng(1)
    entropy, labels = rng.random(50), rng.integers(0, 3, 50)
    neighbours = rng.integers(0, 50, (50, 2))
    order = rng.permutation(50)
    place = np.argsort(order)  # where each old row went
    shuffled = consistency_deciles(entropy[order], place[neighbours[order]], labels[order])
    np.testing.assert_allclose(shuffled, consistency_deciles(entropy, neighbours, labels))


def test_stability_deciles_match_a_loop():
    rng = np.random.default_rng(2)
    entropy = rng.random(37)
    before, after = (rng.integers(0, 4, (37, 2)) for _ in range(2))
    expected = [
        100 * np.mean([j in after[i] for i in rows for j in before[i]])
        for rows in np.array_split(np.argsort(entropy), 10)
    ]
    np.testing.assert_allclose(stability_deciles(entropy, before, after), expected)


def test_training_curves_show_every_epoch_and_mark_the_rounds_after_the_first():
    figure = training_curves(epochs())
    loss, rate = figure.axes
    np.testing.assert_allclose(loss.get_lines()[0].get_ydata(), [9 / e for e in range(1, 7)])
    assert rate.get_yscale() == "log"
    marks = [line.get_xdata()[0] for line in loss.get_lines()[1:]]
    assert marks == [2.5, 4.5]
    assert [text.strip() for text in texts(figure) if "round" in text] == ["round 1", "round 2"]


def test_accuracy_by_round_takes_each_rounds_last_metrics_and_draws_raw_pixels():
    early = {"epoch": 1, "round": 0, "knn_top1": 10.0, "knn_top1_bank": 9.0}
    figure = accuracy_by_round(epochs(), [early, *evaluations()], raw_pixels=27.4)
    drawn = lines(figure.axes[0])
    np.testing.assert_allclose(
        drawn["kNN top-1, recomputed"].get_xydata(), [[0, 42], [1, 44], [2, 46]]
    )
    np.testing.assert_allclose(drawn["consistency of neighbours"].get_xydata(), [[1, 24], [2, 26]])
    assert set(drawn["kNN, raw pixels"].get_ydata()) == {27.4}
    assert "stability of neighbours" not in drawn


def test_accuracy_by_round_without_held_out_labels_shows_knn_among_the_training_images():
    records = [r | {"knn_top1_train": 30.0 + r["round"]} for r in evaluations(labels=False)]
    drawn = lines(accuracy_by_round(epochs(), records, raw_pixels=27.4).axes[0])
    assert set(drawn) == {"kNN top-1, among training images", "consistency of neighbours"}
    with_held_out = [r | {"knn_top1_train": 30.0} for r in evaluations()]
    drawn = lines(accuracy_by_round(epochs(), with_held_out, None).axes[0])
    assert "kNN top-1, among training images" not in drawn


def test_accuracy_by_round_without_labels_shows_stability_and_bank_agreement():
    records = [{k: v for k, v in r.items() if k != "consistency"} for r in epochs()]
    figure = accuracy_by_round(records, evaluations(labels=False), raw_pixels=None)
    drawn = lines(figure.axes[0])
    assert set(drawn) == {"stability of neighbours", "bank agreement"}
    np.testing.assert_allclose(drawn["stability of neighbours"].get_xydata(), [[2, 36]])


def test_consistency_by_entropy_has_a_line_for_each_round():
    labels = np.arange(40) % 3
    rounds = found()
    drawn = lines(consistency_by_entropy(rounds, labels).axes[0])
    assert {name for name in drawn if name.startswith("round")} == {"round 1", "round 2"}
    expected = consistency_deciles(rounds[0].entropy, rounds[0].neighbours, labels)
    np.testing.assert_allclose(drawn["round 1"].get_ydata(), expected)


def test_consistency_by_entropy_is_solid_up_to_the_end_of_the_anchors():
    first = found()[0]
    assert first.is_anchor.mean() == 0.5
    axes = consistency_by_entropy([first], np.arange(40) % 3).axes[0]
    solid = next(line for line in axes.get_lines() if line.get_linestyle() == "-")
    assert solid.get_xdata()[-1] == 5.5  # between the fifth decile and the sixth


def test_consistency_by_entropy_without_labels_compares_with_the_next_round():
    rounds = found()
    for labels in (None, np.full(40, -1)):
        drawn = lines(consistency_by_entropy(rounds, labels).axes[0])
        assert {name for name in drawn if name.startswith("round")} == {"round 1"}
    assert consistency_by_entropy(rounds[:1], None) is None


def test_entropy_distribution_has_a_row_a_round_and_counts_all_images():
    figure = entropy_distribution(found())
    assert len(figure.axes) == 2
    everyone = [patch.get_data().values for patch in figure.axes[0].patches][-1]
    assert everyone.sum() == 40


def test_label_free_curves_have_a_panel_for_each_metric_and_for_knn():
    def titles(records):
        figure = label_free_curves(records)
        return [axes.get_title(loc="left") for axes in figure.axes if axes.has_data()]

    assert titles(evaluations())[0].startswith("kNN top-1")
    assert len(titles(evaluations())) == 5
    assert len(titles(evaluations(labels=False))) == 4


def test_plots_without_data_are_left_out():
    assert training_curves([]) is None
    assert accuracy_by_round([], [], 27.4) is None
    assert consistency_by_entropy([], None) is None
    assert entropy_distribution([]) is None
    assert label_free_curves([{"epoch": 1, "round": 0, "knn_top1": 40.0}]) is None


def all_figures(count=40):
    return {
        "training": training_curves(epochs()),
        "accuracy": accuracy_by_round(epochs(), evaluations(), 27.4),
        "consistency": consistency_by_entropy(found(), np.arange(count) % 3),
        "entropy": entropy_distribution(found()),
        "free": label_free_curves(evaluations()),
    }


def test_svgs_of_one_page_share_no_id_and_refer_to_their_own():
    pictures = [save_svg(figure, name) for name, figure in all_figures().items()]
    ids = [re.findall(r'\bid="([^"]*)"', picture) for picture in pictures]
    everything = sum(ids, [])
    assert len(everything) == len(set(everything))
    for own, picture in zip(ids, pictures, strict=True):
        assert set(re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', picture)) <= {
            pair for name in own for pair in ((name, ""), ("", name))
        }


@pytest.mark.parametrize("name", ["training", "accuracy", "consistency", "entropy", "free"])
def test_an_svg_follows_the_pages_theme_and_scales(name):
    picture = save_svg(all_figures()[name], 'accuracy < 50 % & "more"')
    root = ElementTree.fromstring(picture)  # well-formed
    assert (
        picture.startswith("<svg") and "<!DOCTYPE" not in picture and "http://purl" not in picture
    )
    assert INK not in picture and GRID not in picture
    assert "currentColor" in picture and "var(--grid" in picture
    assert not re.search(r"#(ffffff|000000)\b", picture)  # neither paper nor ink of one theme
    assert root.get("width") == "100%" and root.get("height") is None and root.get("viewBox")
    assert root.get("role") == "img"
    assert root.find(f"{SVG}title").text == 'accuracy < 50 % & "more"'
    assert root.find(f"{SVG}title").get("id") == root.get("aria-labelledby")
    assert list(root.iter(f"{SVG}text"))  # letters, not outlines
    assert "DejaVu" not in picture
    assert re.findall(r"([^{}>\s][^{}>]*)\{", picture) == [".plot *"]  # no rule for the whole page


def test_an_svg_is_the_same_each_time():
    first, second = (save_svg(all_figures()["consistency"], "alt") for _ in range(2))
    assert first == second


def test_a_png_is_drawn_on_white(tmp_path):
    save_png(all_figures()["accuracy"], tmp_path / "accuracy.png")
    image = Image.open(tmp_path / "accuracy.png").convert("RGB")
    assert image.width == 960
    assert image.getpixel((2, image.height - 2)) == (255, 255, 255)


def test_drawing_leaves_the_global_style_alone():
    before = dict(matplotlib.rcParams)
    for figure in all_figures().values():
        save_svg(figure, "alt")
    assert dict(matplotlib.rcParams) == before
