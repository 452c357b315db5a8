"""Every flag of the programs, its help and its check. Only `main` functions read them."""

import math
import sys
import types
from collections.abc import Callable, Sequence

from absl import flags

ENCODERS = ("alexnet", "resnet18", "resnet34", "resnet50", "resnet_small")
POLICIES = ("step", "cosine", "cosine_run")
FORMATS = ("savedmodel", "keras", "onnx", "litert")
LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "stem", "stage1", "stage2", "stage3")
LAYERS += ("stage4", "fc")

# A run is continued although these differ: where its files lie, and how often it reports and saves.
FREE_TO_CHANGE = {
    "name", "workdir", "data_dir", "eval_every", "checkpoint_steps", "checkpoint_minutes",
    "cache_mb", "jit_compile",
}  # fmt: skip


class Flags:
    """The flags of one program: absl's, kept apart from its global ones, which `exit` with 1.

    Args:
        program: name for messages.
        purpose: one line for `--help`.
    """

    def __init__(self, program: str, purpose: str):
        self.program, self.purpose = program, purpose
        self.values = flags.FlagValues()
        self.boolean("help", False, "Show this help.")
        self.string("flagfile", "", "Read flags from this file, one a line; later flags win.")

    def string(self, name, default, text):
        flags.DEFINE_string(name, default, text, flag_values=self.values)

    def boolean(self, name, default, text):
        flags.DEFINE_boolean(name, default, text, flag_values=self.values)

    def choice(self, name, default, choices, text):
        flags.DEFINE_enum(name, default, choices, text, flag_values=self.values)

    def integer(self, name, default, text, lowest=None):
        flags.DEFINE_integer(name, default, text, flag_values=self.values)
        if lowest is not None:
            self.check(name, lambda value: value >= lowest, f"must be at least {lowest}")

    def number(self, name, default, text, holds, rule):
        flags.DEFINE_float(name, default, text, flag_values=self.values)
        self.check(name, lambda value: math.isfinite(value) and holds(value), rule)

    def check(self, name: str, holds: Callable, rule: str) -> None:
        flags.register_validator(
            name, lambda value: value is None or bool(holds(value)), rule, flag_values=self.values
        )

    def parse(self, argv: Sequence[str] | None = None) -> types.SimpleNamespace:
        """Values of the command line. A bad flag ends the program: one line, exit status 2."""
        try:
            options = self.read(sys.argv[1:] if argv is None else argv)
        except ValueError as error:
            print(f"{self.program}: {error}", file=sys.stderr)
            sys.exit(2)
        if self.values.help:
            print(f"{self.purpose}\n{self.values.get_help()}")
            sys.exit(0)
        return options

    def read(self, argv: Sequence[str]) -> types.SimpleNamespace:
        """Values of flags given as on a command line.

        Raises:
            ValueError: for an unknown flag, a value out of range or a stray argument.
        """
        try:
            rest = self.values([self.program, *argv])[1:]
        except flags.Error as error:
            raise ValueError(" ".join(str(error).split())) from error
        if rest:
            raise ValueError(f"unexpected argument {rest[0]!r}: flags are written --name=value")
        values = self.values.flag_values_dict()
        names = [name for name in values if name not in ("help", "flagfile")]
        return types.SimpleNamespace(**{name: values[name] for name in names})


def train_flags() -> Flags:
    """The flags of train.py: together they define an experiment."""
    define = Flags("train.py", "Learns image features without labels.")
    _data_flags(define)
    _augmentation_flags(define)
    _method_flags(define)
    _optimisation_flags(define)
    _run_flags(define)
    return define


def _data_flags(define: Flags) -> None:
    define.string("name", "and", "Name of the experiment.")
    define.string("workdir", "", "Folder of the run; by default runs/NAME.")
    define.string(
        "data",
        "digits",
        "digits, tfds:NAME, folder:PATH, npz:PATH or mat:PATH: images to train on.",
    )
    define.string("data_dir", "", "Folder of prepared TFDS sets.")
    define.string("train_split", "train", "Split in TFDS notation, such as train[:5000].")
    define.string(
        "eval_split",
        "",
        "Split to evaluate on; by default validation, else test, where they exist.",
    )
    define.string("eval_data", "", "Images to evaluate on; by default those of --data.")
    define.choice(
        "labels",
        "folders",
        ["folders", "none"],
        "Where labels of a folder come from; figures only.",
    )
    define.boolean("skip_broken", False, "Leave out images that cannot be decoded.")
    define.integer("image_size", 32, "Side of the encoder's input in pixels.", lowest=8)
    define.integer("cache_mb", 4096, "Decoded images are kept in memory up to this size.", lowest=0)


def _augmentation_flags(define: Flags) -> None:
    define.number(
        "crop_min_area", 0.2, "Smallest share of the image in a random crop.",
        lambda x: 0 < x <= 1, "must be above 0 and at most 1",
    )  # fmt: skip
    define.number(
        "color_jitter", 0.4, "Strength of brightness, contrast, saturation and hue changes.",
        lambda x: 0 <= x <= 1, "must be from 0 to 1",
    )  # fmt: skip
    define.number(
        "grey", 0.2, "Probability of a grey image.", lambda x: 0 <= x <= 1, "must be from 0 to 1"
    )
    define.boolean("flip", False, "Flip half of the images horizontally.")


def _method_flags(define: Flags) -> None:
    define.choice("encoder", "resnet18", ENCODERS, "Network.")
    define.integer("embedding_dim", 128, "Length D of an embedding.", lowest=2)
    define.choice(
        "method", "and", ["and", "instance"],
        "and; or instance: the same rounds and rates without neighbours.",
    )  # fmt: skip
    define.integer("rounds", 4, "Curriculum rounds after the initial one.", lowest=0)
    define.integer("epochs_per_round", 200, "Epochs of each round.", lowest=1)
    define.integer("first_round_epochs", 0, "Epochs of round 0; 0: as the others.", lowest=0)
    define.integer("neighbourhood_size", 1, "Neighbours of an anchor.", lowest=1)
    define.number("temperature", 0.1, "Softmax temperature.", lambda x: x > 0, "must be above 0")
    define.number(
        "bank_rate", 0.5, "Share of the new embedding in a bank update.",
        lambda x: 0 < x <= 1, "must be above 0 and at most 1",
    )  # fmt: skip
    define.choice(
        "anchors", "entropy", ["entropy", "random"],
        "Anchors are the images of lowest entropy (the method) or random ones (its control).",
    )  # fmt: skip
    define.number(
        "anchor_share", 1.0, "Share of the images that are anchors in the last round.",
        lambda x: 0 < x <= 1, "must be above 0 and at most 1",
    )  # fmt: skip
    define.choice(
        "discovery_features", "bank", ["bank", "clean"],
        "Neighbours come from the bank (the authors') or from embeddings of clean images.",
    )  # fmt: skip


def _optimisation_flags(define: Flags) -> None:
    define.integer("batch_size", 128, "Images in a step, over all devices.", lowest=1)
    define.number("learning_rate", 0.03, "Rate at the start.", lambda x: x > 0, "must be above 0")
    define.choice(
        "lr_policy", "step", POLICIES,
        "step: x 0.1 at 60 % and 80 % of each round; cosine: per round; cosine_run: over the run.",
    )  # fmt: skip
    define.number(
        "momentum", 0.9, "Nesterov momentum.", lambda x: 0 < x < 1, "must be between 0 and 1"
    )
    define.number(
        "weight_decay", 5e-4, "Added to the gradient of every parameter.",
        lambda x: x >= 0, "must not be negative",
    )  # fmt: skip


def _run_flags(define: Flags) -> None:
    define.integer("seed", 0, "Of initial weights, data order and augmentation.", lowest=0)
    define.boolean("deterministic", False, "Equal results from equal commands, at some cost.")
    define.choice(
        "strategy", "none", ["none", "mirrored"], "mirrored: all GPUs of this machine, else CPUs."
    )
    define.choice(
        "precision", "float32", ["float32", "mixed_bfloat16"],
        "Arithmetic of the encoder; norms, bank and loss stay in float32.",
    )  # fmt: skip
    define.choice(
        "jit_compile", "auto", ["auto", "on", "off"],
        "Compile with XLA; auto: on one GPU, and not on a CPU, where oneDNN is faster.",
    )  # fmt: skip
    define.integer("eval_every", 10, "kNN every so many epochs; 0: at round ends only.", lowest=0)
    define.integer("checkpoint_steps", 0, "Save every so many steps; 0: at epochs.", lowest=0)
    define.number(
        "checkpoint_minutes", 10, "Save at least this often.", lambda x: x > 0, "must be above 0"
    )


def _run_choice_flags(define: Flags) -> None:
    define.string("workdir", "", "Folder of the run; by default the newest under runs/.")


def _evaluation_data_flags(define: Flags) -> None:
    define.string("data", "", "Images of the reference bank; by default those of the run.")
    define.string("data_dir", "", "Folder of prepared TFDS sets; by default that of the run.")
    define.string("train_split", "", "Labelled reference images; by default those of the run.")
    define.string("eval_split", "", "Images to classify; by default those of the run.")
    define.string("eval_data", "", "Source of the images to classify; by default that of the run.")
    define.choice("labels", None, ["folders", "none"], "Labels; by default as in the run.")


def evaluate_flags() -> Flags:
    """The flags of evaluate.py."""
    define = Flags("evaluate.py", "Classifies held-out images with the features of a run.")
    _run_choice_flags(define)
    _evaluation_data_flags(define)
    define.choice(
        "classifier", "knn", ["knn", "nn", "linear"],
        "knn: weighted by similarity; nn: the single nearest image; linear: logistic regression.",
    )  # fmt: skip
    define.choice("layer", "fc", LAYERS, "Layer whose features are classified.")
    define.choice(
        "bank", "recomputed", ["recomputed", "memory"],
        "Features of the reference images: recomputed from clean images, or the training bank.",
    )  # fmt: skip
    define.integer("k", 200, "Neighbours of weighted kNN.", lowest=1)
    define.number(
        "knn_temperature", 0.1, "Temperature of weighted kNN.", lambda x: x > 0, "must be above 0"
    )
    define.integer("max_values", 9000, "Feature maps are pooled to this many values.", lowest=1)
    return define


def export_flags() -> Flags:
    """The flags of export.py."""
    define = Flags("export.py", "Writes the encoder of a run for use elsewhere.")
    _run_choice_flags(define)
    define.choice("format", "savedmodel", [*FORMATS, "all"], "What to write.")
    define.string("output", "", "Where to write it; by default export/ in the run.")
    return define


def embed_flags() -> Flags:
    """The flags of embed.py."""
    define = Flags("embed.py", "Embeds a folder of images.")
    define.string("model", "", "Exported encoder or folder of a run; by default the newest run.")
    define.string("images", "", "Folder of images, searched with its sub-folders.")
    define.string("output", "features.parquet", "Table to write: .parquet or .npz.")
    define.integer("neighbours", 0, "Add each image's nearest images.", lowest=0)
    define.integer("clusters", 0, "Add the number of a k-means cluster.", lowest=0)
    define.number(
        "duplicate_similarity", 0.995, "List pairs of images at least this similar (cosine).",
        lambda x: 0 < x <= 1, "must be above 0 and at most 1",
    )  # fmt: skip
    define.string("gallery", "", "Picture (.png) of a few images beside their nearest.")
    define.integer("gallery_rows", 5, "Images in the gallery.", lowest=1)
    define.integer("batch_size", 64, "Images embedded at once.", lowest=1)
    define.boolean("skip_broken", False, "Leave out images that cannot be decoded.")
    define.integer("seed", 0, "Of the clusters and of the gallery's choice.", lowest=0)
    define.check("images", bool, "needs the folder of images: --images=FOLDER")
    return define
