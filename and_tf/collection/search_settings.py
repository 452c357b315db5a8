"""Settings of search.py."""

import dataclasses

from and_tf.settings import Settings, at_least, setting

SEARCHES = ("auto", "exact", "faiss")


@dataclasses.dataclass(frozen=True)
class SearchSettings(Settings):
    """Search."""

    index: str = setting("features.parquet", "Table of embeddings, as embed.py writes it.")
    query: str = setting(
        "", "Image to find similar ones to: a file, a folder of images, or a path in the table."
    )
    nearest: int = setting(12, "Images to find for each.", at_least(1))
    model: str = setting("", "Where the encoder that made the table is now, if it was moved.")
    trust_model: bool = setting(
        False,
        "Open a SavedModel, which is a program, even if its files are not those that export.py "
        "wrote.",
    )
    page: str = setting("search.html", "Page to write with the images found.")
    search: str = setting(
        "auto",
        "Exact, or with a faiss index kept next to the table; auto uses it from 200,000 images on.",
        choices=SEARCHES,
    )
