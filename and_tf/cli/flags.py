"""Every flag of the programs, its help and its check. Only `main` functions read them."""

import types

from and_tf.cli.flag_parser import Flags

ENCODERS = ("alexnet", "resnet18", "resnet34", "resnet50", "resnet_small")
POLICIES = ("step", "cosine", "cosine_run")
FORMATS = ("savedmodel", "keras", "onnx", "litert")
LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "stem", "stage1", "stage2", "stage3")
LAYERS += ("stage4", "fc")
CLASSIFIERS = ("knn", "nn", "linear", "retrieval", "clusters")
FLAGS_OF_ONE_CLASSIFIER = {
    "k": "knn", "knn_temperature": "knn", "few_shot": "linear", "few_shot_seeds": "linear",
    "clusters": "clusters",
}  # fmt: skip

# A run is continued although these differ: where its files lie, and how often it reports and saves.
FREE_TO_CHANGE = {
    "name", "workdir", "data_dir", "eval_every", "checkpoint_epochs", "checkpoint_steps",
    "checkpoint_minutes", "cache_mb", "jit_compile", "logits_mb", "steps_per_execution",
    "augment_on",
}  # fmt: skip
# Of those, what moves the last digits of a result.
ROUNDING = {"jit_compile", "augment_on", "logits_mb"}


def train_flags() -> Flags:
    """The flags of train.py: together they define an experiment."""
    define = Flags("train.py", "Learns image features without labels.")
    _data_flags(define)
    _augmentation_flags(define)
    _method_flags(define)
    _optimisation_flags(define)
    _run_flags(define)
    define.rules.append(_unwritable_flag)
    return define


def _unwritable_flag(options: types.SimpleNamespace) -> str:
    """Words on a value that flags.cfg would not give back: it is UTF-8, a flag a line."""
    for name, value in vars(options).items():
        text = str(value)
        if text != text.rstrip() or len(text.splitlines()) > 1 or not _is_unicode(text):
            return (
                f"--{name}={text!r} ends in a space, or holds a line break or what is not UTF-8: "
                "rename it, or name it by a link."
            )
    return ""


def _is_unicode(text: str) -> bool:
    try:
        return bool(text.encode()) or not text
    except UnicodeEncodeError:  # bytes of a file name that Python could not decode
        return False


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
    define.choice(
        "augment_on", "auto", ["auto", "host", "device"],
        "Augment on the host, beside the step, or on the device, within it; auto: on a GPU.",
    )  # fmt: skip


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
    define.choice(
        "neighbour_search", "exact", ["exact", "faiss"],
        "Discovery compares all images with one another; faiss: approximate, for tens of millions.",
    )  # fmt: skip
    define.choice(
        "discovery_precision", "float32", ["float32", "bfloat16", "float16"],
        "Of the similarities in discovery; half precision is for GPUs.",
    )  # fmt: skip
    define.rules.append(_unused_precision)


def _unused_precision(options: types.SimpleNamespace) -> str:
    if options.neighbour_search == "exact" or options.discovery_precision == "float32":
        return ""
    return (
        f"--discovery_precision={options.discovery_precision} is for --neighbour_search=exact: "
        "leave one of them out."
    )


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
    define.integer(
        "seed", 0, "Of initial weights, data order and augmentation.", lowest=0, highest=2**32 - 1
    )
    define.boolean("deterministic", False, "Equal results from equal commands, at some cost.")
    define.choice(
        "strategy", "none", ["none", "mirrored"], "mirrored: all GPUs of this machine, else CPUs."
    )
    define.choice(
        "precision", "float32", ["float32", "mixed", "mixed_bfloat16", "mixed_float16"],
        "Arithmetic of the encoder; norms, bank and loss stay in float32. mixed: bfloat16, or "
        "float16 with loss scaling on a GPU that lacks it.",
    )  # fmt: skip
    define.choice(
        "jit_compile", "auto", ["auto", "on", "off"],
        "Compile with XLA; auto: on one GPU, and not on a CPU, where oneDNN is 1.5 to 1.8 times as "
        "fast; the run says why.",
    )  # fmt: skip
    define.integer(
        "steps_per_execution", 0,
        "Steps that TensorFlow runs in one call; 0: 50 on one GPU, else 1.", lowest=0,
    )  # fmt: skip
    define.integer(
        "logits_mb", 64, "Similarities of a step to the whole bank are held at once up to this "
        "size (and their exponentials), else in blocks.", lowest=1,
    )  # fmt: skip
    define.integer("eval_every", 10, "kNN every so many epochs; 0: at round ends only.", lowest=0)
    define.integer(
        "checkpoint_epochs", 1, "Save every so many epochs; 0: at round ends. Where an epoch takes "
        "seconds, writing takes a good part of them.", lowest=0,
    )  # fmt: skip
    define.integer("checkpoint_steps", 0, "Save also every so many steps; 0: not.", lowest=0)
    define.number(
        "checkpoint_minutes", 10, "Save at least this often.", lambda x: x > 0, "must be above 0"
    )


def _run_choice_flags(define: Flags) -> None:
    define.string("workdir", "", "Folder of the run; by default the newest under runs/.")


def _evaluation_data_flags(define: Flags) -> None:
    define.string("data", "", "Images of the reference bank; by default those of the run.")
    define.string("data_dir", "", "Folder of prepared TFDS sets; by default that of the run.")
    define.string("train_split", "", "Labelled reference images; by default those of the run.")
    define.string("eval_split", "", "Images to evaluate on; by default those of the run.")
    define.string("eval_data", "", "Source of the images to evaluate on; by default the run's.")
    define.choice("labels", None, ["folders", "none"], "Labels; by default as in the run.")


def evaluate_flags() -> Flags:
    """The flags of evaluate.py. None stands for a default of the protocols."""
    define = Flags("evaluate.py", "Says what the features of a run are worth on held-out images.")
    _run_choice_flags(define)
    _evaluation_data_flags(define)
    define.choice(
        "classifier", "knn", CLASSIFIERS,
        "The protocol. knn: nearest images vote by similarity; nn: the single nearest image; "
        "linear: logistic regression; retrieval: recall and mean average precision; clusters: "
        "k-means, with or without labels.",
    )  # fmt: skip
    define.choice(
        "layer", "fc", [*LAYERS, "all"],
        "Layer whose features are used; conv1..conv5 mean stem..stage4 on a ResNet; all: each in "
        "turn, from one pass over the images.",
    )  # fmt: skip
    define.choice(
        "bank", "recomputed", ["recomputed", "memory"],
        "Features of the reference images: recomputed from clean images, or the training bank.",
    )  # fmt: skip
    _protocol_flags(define)
    define.integer("max_values", 9000, "Feature maps are pooled to this many values.", lowest=1)
    define.integer(
        "memory_mb", 4096, "Features and similarities held in memory at once.", lowest=64
    )
    define.rules += [_unused_flag, _misused_bank]
    return define


def _protocol_flags(define: Flags) -> None:
    define.numbers(
        "k", int, "Neighbours of weighted kNN, one or several: 1,5,20,200; by default 200.",
        lambda x: x >= 1, "must be at least 1",
    )  # fmt: skip
    define.numbers(
        "knn_temperature", float, "Temperatures of weighted kNN, one or several; by default 0.1.",
        lambda x: x >= 1 / 690, "must be at least 0.00145, or exp(1 / temperature) overflows",
    )  # fmt: skip
    define.numbers(
        "few_shot", int, "Train the linear classifier on so many labels a class: 1,5,10,50.",
        lambda x: x >= 1, "must be at least 1",
    )  # fmt: skip
    define.integer("few_shot_seeds", None, "Draws of these labels; by default 5.", lowest=1)
    define.integer("clusters", None, "Clusters; by default the number of classes.", lowest=2)


def _unused_flag(options: types.SimpleNamespace) -> str:
    """Words on a flag that the chosen protocol would ignore."""
    for name, classifier in FLAGS_OF_ONE_CLASSIFIER.items():
        if getattr(options, name) is not None and options.classifier != classifier:
            return (
                f"--{name} is for --classifier={classifier}, and not for "
                f"--classifier={options.classifier}: leave it out."
            )
    if options.few_shot_seeds is not None and options.few_shot is None:
        return "--few_shot_seeds is for --few_shot: add it, such as --few_shot=1,5,10,50."
    return ""


def _misused_bank(options: types.SimpleNamespace) -> str:
    fits = options.layer == "fc" and options.classifier in ("knn", "nn", "retrieval")
    if options.bank == "recomputed" or fits:
        return ""
    return (
        "--bank=memory holds embeddings of reference images only: use it with --layer=fc and "
        "--classifier=knn, nn or retrieval. "
        f"Received --layer={options.layer} --classifier={options.classifier}."
    )


def report_flags() -> Flags:
    """The flags of report.py."""
    define = Flags("report.py", "Writes what a run has learned as one HTML page.")
    _run_choice_flags(define)
    define.string("output", "", "The page; by default report.html in the run.")
    define.string("data_dir", "", "Folder of prepared TFDS sets; by default that of the run.")
    define.integer(
        "images", 5000, "Training images looked at, evenly spread over those of the run.", lowest=2
    )
    define.integer("queries", 2000, "Held-out images looked at.", lowest=1)
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
    define.integer(
        "seed", 0, "Of the clusters and of the gallery's choice.", lowest=0, highest=2**32 - 1
    )
    define.check("images", bool, "needs the folder of images: --images=FOLDER")
    return define
