"""Collections of made-up photos with everything that can be found in them, without an encoder."""

import numpy as np
from helpers.pictures import photo

from and_tf.collection.clusters.found import Candidate, Clusters
from and_tf.collection.collection import Collection, search_neighbours
from and_tf.collection.duplicates.groups import Duplicates, Group
from and_tf.collection.findings import Findings
from and_tf.collection.outliers import Outliers
from and_tf.collection.page.commands import Command
from and_tf.collection.page.write import write_page
from and_tf.collection.quality import Quality
from and_tf.collection.settings import embed_settings
from and_tf.collection.suspect_labels import SuspectLabels
from and_tf.data.sources.folder import open_folder

COMMANDS = [
    Command("It was written by:", "python embed.py --images=photos"),
    Command("To move them:", "python embed.py --images=photos --dry_run", "duplicates"),
]


def write_jpegs(folder, names, size=(48, 36)):
    """Writes small photos under these names, whatever bytes they are made of."""
    for seed, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as file:
            photo(*size, seed).save(file, "JPEG")


def open_collection(folder, labels="none", dim=8, seed=0):
    """The photos of a folder with random embeddings, near each other where labels are equal."""
    source = open_folder(folder, labels=labels)
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(len(source), dim)).astype(np.float32)
    if source.labels is not None:
        rows += (
            3 * rng.normal(size=(source.labels.max() + 1, dim)).astype(np.float32)[source.labels]
        )
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return Collection(source, rows, *search_neighbours(rows, min(10, len(source) - 1)))


def all_findings(collection, seed=0):
    """One group of duplicates, two outliers, three blurred photos, a suspect, three clusters."""
    count = len(collection)
    rng = np.random.default_rng(seed)
    names = ("sharpness", "brightness", "contrast", "aspect", "width", "height")
    measured = {name: rng.uniform(1, 9, count).astype(np.float32) for name in names}
    scores = rng.uniform(0.5, 1.2, count).astype(np.float32)
    scores[[1, 4]] = 3, 4
    flags = {name: np.zeros(count, bool) for name in ("blurred", "dark", "tiny")}
    flags["blurred"][:3] = flags["tiny"][5] = True
    suspects = None
    if (labels := collection.source.labels) is not None:
        suggested = (labels + 1) % (labels.max() + 1)
        margin = rng.uniform(0, 0.3, count).astype(np.float32)
        suspects = SuspectLabels(suggested.astype(np.int32), margin, margin == margin.max())
    return Findings(
        duplicates=Duplicates([], [Group((2, 3), 3, "identical", 1.0)], 0.97, "Strangers near."),
        quality=Quality(measured, flags),
        outliers=Outliers(scores, scores > 2, 5),
        suspect_labels=suspects,
        clusters=Clusters(np.sort(rng.integers(0, 3, count)).astype(np.int32),
                          (Candidate(3, 0.2, 0.9),), "Three come back most often."),
    )  # fmt: skip


def write_folder_page(folder, page, labels="none", findings=all_findings, **settings):
    """Writes the page of a folder of photos with all findings; gives the collection."""
    collection = open_collection(folder, labels)
    table = page.with_suffix(".npz")
    chosen = embed_settings({"images": str(folder), "model": "a.keras"} | settings)
    write_page(page, collection, findings(collection), chosen, table, COMMANDS)
    return collection
