"""The page as text: what stands on it, for every kind of run, and what it must not hold."""

import dataclasses
import json
import os
import re
from urllib.parse import unquote_to_bytes

import numpy as np
import pytest
from helpers import programs
from helpers.html_reader import Reader
from helpers.report_runs import make_run, save_images
from PIL import Image

from and_tf.data.sources import opening
from and_tf.errors import MissingPackage, NotFound
from and_tf.report import sections, write
from and_tf.report.page.originals import shown_name
from and_tf.report.section import PAGE, Section, fill
from and_tf.report.settings import ReportSettings
from and_tf.runs.settings import RunChoice

pytestmark = pytest.mark.usefixtures("thin_resnet")

HOSTILE = "</script><b>x"


def page_of(run, *flags, name="report.html"):
    """The parsed page that report.py writes for a run, under a name of its own."""
    page = run.path / name
    assert programs.report([f"--workdir={run.path}", f"--output={page}", *flags]) == 0
    return Reader(page.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A run with labels, and its page."""
    folder = tmp_path_factory.mktemp("labelled")
    run = make_run(folder / "run", save_images(folder / "i.npz", 40, 4), "--rounds=2")
    run.evaluations.mkdir()
    rows = [{"layer": "stage4", "values": 9, "regularisation": 1.0, "top1": 61.25}]
    report = {"classifier": "linear", "layer": "stage4", "protocol": "logistic", "rows": rows}
    (run.evaluations / "linear.json").write_text(json.dumps(report | {"notes": ["Mind this."]}))
    return run, page_of(run)


def test_the_page_holds_every_part(labelled):
    _, page = labelled
    headings = {attributes["id"] for attributes in page.all("h2")}
    assert headings == {
        "verdict", "metrics", "training", "label-free", "attention", "neighbours", "explorer",
        "confusion", "run",
    }  # fmt: skip
    links = {a["href"] for a in page.all("a") if a["href"].startswith("#")}
    assert links == {"#main"} | {f"#{name}" for name in headings - {"verdict"}}
    assert len([svg for svg in page.all("svg") if svg.get("class") == "plot"]) == 5
    for words in (
        "Better than always naming the largest class (25.0 %) by 41.0 points, and than",
        "top-1 61.25 %", "Mind this.", "epoch not recorded", "Agresti and Coull",
        "a decile would hold 4 labelled images, and fewer than 20 are too few to tell",
        "Watch the effective rank", "6 epochs in 3 rounds", "Weighted kNN (K = 40,",
        "by weighted kNN, K = 40,", "in the round's last epoch: anchors",
        "settings that differ from their defaults", "python report.py --workdir=", "memory bank",
        "TensorFlow", "lowest entropy first", "Did the neighbours help?",
        "gained anything. A run of Instance", "python train.py --flagfile=",
    ):  # fmt: skip
        assert words in page.text, words


def test_results_published_of_other_images_are_not_on_the_page(labelled):
    _, page = labelled
    assert "The papers' results" not in page.text and "published" not in page.text.lower()


def test_the_page_loads_nothing_and_everything_has_a_name(labelled):
    run, page = labelled
    text = (run.path / "report.html").read_text()
    assert len(text) < 10_000_000
    sources = [a[name] for _, a in page.elements for name in ("src", "xlink:href") if name in a]
    assert sources and all(source.startswith(("data:image/", "#")) for source in sources)
    assert not page.all("link")[1:] and page.all("link")[0]["href"] == "data:,"
    assert all(url.startswith("data:") for url in re.findall(r"url\((?!#)([^)]*)", text))
    assert "@import" not in text
    assert all(image.get("alt") for image in page.all("img"))
    assert all(svg.get("aria-labelledby") for svg in page.all("svg"))
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert set(ids) >= {label["for"] for label in page.all("label")}
    policy = page.all("meta")[1]["content"]
    assert "default-src 'none'" in policy and "script-src 'sha256-" in policy


def test_the_explorer_knows_its_images_and_their_neighbours(labelled):
    _, page = labelled
    data = page.data
    assert len(data["near"]) == len(data["names"]) == len(data["texts"]) == 40
    for image, (near, cosines) in enumerate(zip(data["near"], data["cosines"], strict=True)):
        assert len(near) == 8 and image not in near and max(near) < 40
        assert cosines == sorted(cosines, reverse=True) and cosines[0] <= 1001
    entropies = data["ranges"][0]
    assert entropies == sorted(entropies)
    assert set(data["labels"]) == {0, 1, 2, 3} and data["classes"][3] == "3"
    assert data["originals"] is None  # arrays are no files


@pytest.mark.system
@pytest.mark.parametrize(
    ("images", "flags", "made", "absent", "words"),
    [
        ((40, 0), [], {}, {"confusion"}, "accuracy of the features cannot be known"),
        ((40, 0, False), [], {}, {"confusion"}, "no held-out images"),
        ((40, -1), [], {}, {"confusion"}, "has no labels"),
        ((40, 4, False), ["--rounds=1", "--epochs_per_round=1"], {}, {"confusion"},
         ("Highest entropy",
          "kNN among the training images names the class of 52.0 % of 20 training images")),
        ((40, 4), ["--rounds=2", "--anchors=random"], {}, set(),
         "Anchors, filled, are not the images of lowest entropy"),
        ((40, 4), ["--rounds=1", "--method=instance"], {}, set(),
         "Instance discrimination on 40 images"),
        ((40, 4), ["--rounds=2"], {"rounds_done": 1}, set(), "Unfinished, after 2 of 6 epochs"),
        ((40, 4), ["--rounds=2"], {"rounds_done": 0}, {"attention"},
         "Unfinished, after 0 of 6 epochs"),
        ((40, 4), ["--rounds=0"], {}, set(), "Better than"),
        ((40, 1), ["--rounds=1"], {}, set(),
         ("No held-out image was named wrongly.", "Correct after round 0 and at the end")),
        ((200, 100), ["--rounds=1"], {}, set(), "100 classes are too many for colours"),
        ((10, 2), ["--rounds=1"], {"label_free": False}, set(), "10 training images"),
        ((40, 4), ["--rounds=1"], {"method_arrays": False}, set(),
         "Entropy is from the embeddings"),
    ],
    ids=[
        "unlabelled", "no held-out images", "labels of -1", "labels but no held-out images",
        "random anchors", "Instance", "unfinished", "not one round", "rounds=0", "one class",
        "100 classes", "ten images, old", "a method that keeps no neighbourhoods",
    ],
)  # fmt: skip
def test_every_kind_of_run_has_a_page(tmp_path, images, flags, made, absent, words):
    name = "unlabelled.npz" if images[1] < 1 else "images.npz"
    name = "unlabelled-train-only.npz" if images[2:] == (False,) and images[1] else name
    run = make_run(tmp_path / "run", save_images(tmp_path / name, *images), *flags, **made)
    page = page_of(run)
    assert all(each in page.text for each in ([words] if isinstance(words, str) else words))
    assert not absent & {attributes["id"] for attributes in page.all("h2")}
    assert page.data["near"]


@pytest.mark.system
def test_names_of_classes_are_text_everywhere(tmp_path, monkeypatch):
    run = make_run(tmp_path / "run", save_images(tmp_path / "i.npz", 20, 2), "--rounds=1")
    plain = opening.open_train_and_held_out

    def named(*arguments, **others):
        return tuple(
            dataclasses.replace(source, class_names=[HOSTILE, "$x_{y"], names=None)
            for source in plain(*arguments, **others)
        )

    monkeypatch.setattr(opening, "open_train_and_held_out", named)
    page = page_of(run)
    assert page.data["classes"] == [HOSTILE, "$x_{y"]
    assert not page.all("b") or all(not attributes for attributes in page.all("b"))
    assert HOSTILE in page.text  # in the legend, the filter, the galleries, the confusion matrix
    text = (run.path / "report.html").read_text()
    assert "<b>x" not in text and text.count("</script>") == 2


@pytest.mark.system
def test_names_of_files_are_text_everywhere(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    names = [
        "<img src=x onerror=alert(1)>.png",
        "a'b\"&c.png",
        b"\xff\xfe.png".decode("utf-8", "surrogateescape"),
    ]
    rng = np.random.default_rng(0)
    for name in [*names, *(f"{i}.png" for i in range(9))]:
        with open(folder / name, "wb") as file:
            Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8)).save(file, "PNG")
    run = make_run(tmp_path / "run", f"--data=folder:{folder}", "--rounds=1", "--labels=none")
    page = page_of(run)
    assert {shown_name(name) for name in names} <= set(page.data["names"])
    originals = page.data["originals"]
    for i, name in enumerate(page.data["names"]):
        url = originals["others"].get(str(i), originals["base"] + name)
        assert os.path.isfile(os.fsencode(run.path) + b"/" + unquote_to_bytes(url))
    assert not any("onerror" in attributes for _, attributes in page.elements)
    assert not any(image["src"] == "x" for image in page.all("img"))


@pytest.mark.system
def test_a_larger_set_is_sampled_and_the_page_says_so(tmp_path):
    run = make_run(tmp_path / "run", save_images(tmp_path / "i.npz", 60, 3), "--rounds=1")
    page = page_of(run, "--images=20", "--queries=10")
    assert "an evenly spread 20 of the 60 training images" in page.text
    assert "an evenly spread 10 of the 30 held-out images" in page.text
    assert "--images=20 --queries=10" in page.text and len(page.data["near"]) == 20


def contrast(first, second):
    """Ratio of luminances, WCAG 2.1."""

    def luminance(colour):
        channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(
            channels <= 0.03928, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4
        )
        return float(linear @ [0.2126, 0.7152, 0.0722])

    lights = sorted((luminance(first), luminance(second)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def test_the_maps_colours_can_be_seen_on_their_card_in_light_and_in_dark():
    style = (PAGE / "page.css").read_text()
    card, dark_card, _ = re.findall(r"--card: (#\w{6})", style)
    colours = re.findall(r"\.([ce]\d) \{ --c: (#\w{6}); \}", style)
    light = dict(reversed(colours))  # the first of each name
    assert len(light) == 15
    for shown, on in ((light, card), (light | dict(colours), dark_card)):
        assert {name: c for name, c in shown.items() if contrast(c, on) < 3} == {}


def test_a_section_takes_one_function_and_one_entry(labelled, monkeypatch):
    def dummy_section(context):
        """The file of a new section."""
        html = fill(
            "<p>Seed {{ seed }} of {{ name }}</p>", seed=context.settings.run.seed, name="<b>"
        )
        return Section("dummy", "A dummy section", html, link="Dummy")

    def absent_section(context):
        """One for which this run holds nothing."""

    monkeypatch.setattr(sections, "SECTIONS", [dummy_section, absent_section])
    run, _ = labelled
    page = page_of(run, name="dummy.html")
    assert "Seed 0 of <b>" in page.text and "Dummy" in page.text
    assert [a["id"] for a in page.all("h2")] == ["dummy"]
    assert {"href": "#dummy"} in page.all("a")


def test_the_title_names_the_options_that_are_on(tmp_path, monkeypatch):
    flags = ["--rounds=0", "--method=instance", "--entropy_weight=0.2"]
    run = make_run(tmp_path / "run", save_images(tmp_path / "i.npz", 20, 2), *flags)
    monkeypatch.setattr(sections, "SECTIONS", [])
    assert "Instance discrimination with entropy weight 0.2 on 20 images" in page_of(run).text


@pytest.mark.system
def test_a_report_of_an_earlier_checkpoint_ends_with_it(labelled):
    run, _ = labelled
    page = page_of(run, "--checkpoint=round_1", name="round.html")
    assert "Checkpoint round_1, after 4 of 6 epochs. " in page.text
    assert "by the round_1 checkpoint" in page.text and "--checkpoint=round_1" in page.text
    assert "64.0 %" in page.text and "66.0 %" not in page.text
    with pytest.raises(NotFound, match="round_7"):
        write.write_report(RunChoice(workdir=str(run.path), checkpoint="round_7"), ReportSettings())


@pytest.mark.system
def test_stray_files_change_nothing(labelled):
    run, before = labelled
    for name in ("rounds/round_x.npz", "rounds/.DS_Store", "rounds/round_1.npz.partial",
                 "evaluations/.DS_Store", "evaluations/notes.json", "checkpoints/.DS_Store",
                 "tensorboard/report/.DS_Store"):  # fmt: skip
        (run.path / name).parent.mkdir(parents=True, exist_ok=True)
        (run.path / name).write_bytes(b"stray")
    after = page_of(run, name="stray.html")
    assert after.data == before.data
    assert len(after.all("img")) == len(before.all("img"))


@pytest.mark.system
def test_images_that_have_moved_are_named_anew_from_any_directory(tmp_path, monkeypatch):
    (tmp_path / "old").mkdir()
    make_run(tmp_path / "run", save_images(tmp_path / "old" / "i.npz", 20, 2), "--rounds=0")
    os.rename(tmp_path / "old", tmp_path / "new")
    monkeypatch.chdir(tmp_path / "new")
    choice = RunChoice(workdir="../run")
    with pytest.raises(FileNotFoundError):
        write.write_report(choice, ReportSettings())
    written = write.write_report(choice, ReportSettings(data="npz:i.npz", output="page.html"))
    assert written.page.is_file()


@pytest.mark.parametrize("package", write.PACKAGES)
def test_a_missing_package_is_named_with_its_install_line(labelled, monkeypatch, package):
    find = write.importlib.util.find_spec
    monkeypatch.setattr(
        write.importlib.util, "find_spec", lambda name: None if name == package else find(name)
    )
    with pytest.raises(MissingPackage, match=rf"needs {package}: pip install jinja2 matplotlib"):
        write.write_report(RunChoice(workdir=str(labelled[0].path)), ReportSettings())
