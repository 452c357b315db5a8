"""One table of bad input: each is refused in one line that says what to do, and nothing changes."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
from helpers import programs
from helpers.foreign_models import (
    diverged_export,
    foreign_savedmodel,
    keras_model,
    lambda_model,
    onnx_model,
    savedmodel,
    savedmodel_without_weights,
    truncated_export,
)
from helpers.spoiled import (
    arrays,
    file,
    folder,
    huge_png,
    images_npz,
    jpeg,
    link_to,
    metadata,
    photos,
    pickle_file,
    pickled,
    png,
    removed,
    replaced,
    run,
    run_json,
    with_,
)
from PIL import ImageFile

from and_tf.training import callbacks

pytestmark = pytest.mark.usefixtures("thin_resnet")

TINY = [
    "--data=digits", "--encoder=resnet_small", "--image_size=16", "--embedding_dim=8",
    "--train_split=train[:64]", "--eval_split=test[:32]", "--rounds=0", "--epochs_per_round=1",
    "--batch_size=32", "--crop_min_area=0.5", "--color_jitter=0", "--grey=0", "--eval_every=0",
]  # fmt: skip
PLAIN = {
    "train": [*TINY, "--workdir={here}/new"],
    "embed": ["--model={world}/run", "--images={world}/photos", "--output={here}/table.npz"],
    "export": ["--workdir={world}/run", "--format=keras", "--output={here}/encoder.keras"],
    "evaluate": ["--workdir={world}/run"],
}
IMAGES = ["--images={here}/photos"]
STRICT = [*IMAGES, "--noskip_broken"]
SMALL = ["--train_split=train", "--eval_split=", "--batch_size=2"]
ON_IMAGES = ["--data=folder:{here}/photos", *SMALL]
ON_ARRAYS = ["--data=npz:{here}/arrays.npz", *SMALL]
ON_LIST = ["--data=list:{here}/list.csv", *SMALL]
CONTINUED = ["--workdir={here}/run"]
KERAS, SAVEDMODEL, ONNX = ("--model={here}/" + n for n in ("model.keras", "model", "model.onnx"))


def nothing(here, world):
    """The case needs no files of its own."""


def ones(*shape, dtype="uint8"):
    return np.ones(shape, dtype)


def other_seed(held):
    settings = held["origin"]["settings"] | {"seed": "1"}
    return held | {"origin": held["origin"] | {"settings": settings}}


# name, program, what is made, flags after those of `PLAIN`, words of the line
FLAGS = [
    ("temperature 0", "train", nothing, ["--temperature=0"], ["--temperature=0", "above 0"]),
    ("temperature nan", "train", nothing, ["--temperature=nan"], ["--temperature=nan", "above 0"]),
    ("bank rate", "train", nothing, ["--bank_rate=1.5"], ["--bank_rate=1.5", "at most 1"]),
    ("rounds", "train", nothing, ["--rounds=-1"], ["--rounds=-1", "at least 0"]),
    ("half an epoch", "train", nothing, ["--epochs_per_round=1.5"], ["--epochs_per_round", "1.5"]),
    ("rate", "train", nothing, ["--learning_rate=inf"], ["--learning_rate=inf", "above 0"]),
    ("momentum", "train", nothing, ["--momentum=1"], ["--momentum=1", "above 0 and below 1"]),
    ("weight decay", "train", nothing, ["--weight_decay=-1"], ["--weight_decay=-1", "at least 0"]),
    ("crop", "train", nothing, ["--crop_min_area=0"], ["--crop_min_area=0", "above 0"]),
    ("seed", "train", nothing, ["--seed=4294967296"],
     ["--seed=4294967296", "from 0 to 4294967295"]),
    ("tiny images", "train", nothing, ["--image_size=4"], ["--image_size=4", "at least 8"]),
    ("size", "train", nothing, ["--image_size=10000000"],
     ["--image_size=10000000", "from 0 to 8192"]),
    ("dim", "train", nothing, ["--embedding_dim=1"],
     ["--embedding_dim=1", "from 2 to 65536"]),
    ("neighbours", "train", nothing, ["--neighbourhood_size=64"],
     ["--neighbourhood_size=64", "images, 64", "lower it or add images"]),
    ("batch", "train", nothing, ["--batch_size=65"], ["--batch_size=65", "64", "lower it"]),
    ("encoder", "train", nothing, ["--encoder=resnet19"], ["--encoder=resnet19", "resnet18"]),
    ("policy", "train", nothing, ["--lr_policy=warm"], ["--lr_policy=warm", "cosine"]),
    ("no epochs", "train", nothing, ["--rounds=1", "--epochs_per_round=0"],
     ["--epochs_per_round=0", "--rounds=1", "raise it"]),
    ("workdir in no file system", "train", nothing, ["--workdir=/proc/nowhere/run"],
     ["/proc/nowhere"]),
    ("unknown flag", "train", nothing, ["--epoch=3"], ["epoch"]),
    ("stray word", "train", nothing, ["smoke.cfg"], ["'smoke.cfg'", "--name=value"]),
    ("no flagfile", "train", nothing, ["--flagfile={here}/none.cfg"], ["{here}/none.cfg"]),
    ("binary flagfile", "train", file("x.cfg", b"--data=\xff\n"), ["--flagfile={here}/x.cfg"],
     ["{here}/x.cfg", "is not text", "one flag per line"]),
    ("wrong flagfile", "train", file("x.cfg", b"--lr=1\n"), ["--flagfile={here}/x.cfg"],
     ["There is no flag --lr"]),
    ("no checkpoint ever", "train", nothing, ["--checkpoint_minutes=0"],
     ["--checkpoint_minutes=0", "above 0"]),
    ("line break", "train", nothing, ["--workdir={here}/a\n--b"], ["a\\n--b", "rename it"]),
    ("bytes", "train", nothing, ["--workdir={here}/\udce9"], ["\\udce9", "UTF-8", "rename it"]),
    ("file for workdir", "train", file("new", b"mine"), [], ["--workdir={here}/new", "choose"]),
    ("workdir in a file", "train", file("x", b"mine"), ["--workdir={here}/x/run"],
     ["--workdir={here}/x/run", "below a file", "choose another"]),
    ("full workdir", "train", file("new/mine.txt", b"mine"), [],
     ["--workdir={here}/new", "choose another"]),
    ("neighbours of embed", "embed", nothing, ["--neighbours=4"], ["--neighbours=4", "4 in"]),
    ("clusters", "embed", nothing, ["--clusters=5"], ["--clusters=5", "4 in"]),
    ("seed of embed", "embed", nothing, ["--seed=4294967296"],
     ["--seed=4294967296", "to 4294967295"]),
    ("nan similarity", "embed", nothing, ["--duplicate_similarity=nan"],
     ["--duplicate_similarity=nan", "from 0 to 1"]),
    ("no images", "embed", nothing, ["--images="],
     ["which folder of photos", "--images=PHOTOS"]),
    ("k", "evaluate", nothing, ["--k=0"], ["--k=0", "at least 1"]),
    ("layer", "evaluate", nothing, ["--layer=conv6"], ["--layer=conv6", "stage4"]),
    ("layer of the bank", "evaluate", nothing, ["--bank=memory", "--layer=conv3"],
     ["--bank=memory", "--layer=conv3"]),
    ("no batch", "embed", nothing, ["--batch_size=0"], ["--batch_size=0", "at least 1"]),
]  # fmt: skip

SOURCES = [
    ("kind", "train", nothing, ["--data=tdfs:cifar10"], ["--data=tdfs:cifar10", "tfds:NAME"]),
    ("no path", "train", nothing, ["--data=folder:"], ["--data=folder:", "folder:PATH"]),
    ("split", "train", nothing, ["--train_split=learning"], ["'learning'", "Available: train"]),
    ("empty split", "train", nothing, ["--train_split=train[:0]"], ["train[:0]", "no image"]),
    ("half a split", "train", nothing, ["--train_split=train["], ["train[", "Available: train"]),
    ("eval split", "train", nothing, ["--eval_split=dev"], ["'dev'", "Available: train, test"]),
    ("no folder", "train", nothing, ON_IMAGES, ["{here}/photos", "correct the path"]),
    ("file for folder", "train", file("photos", b"mine"), ON_IMAGES, ["{here}/photos", "correct"]),
    ("empty folder", "train", folder("photos"), ON_IMAGES, ["{here}/photos", "jpg, jpeg, png"]),
    ("no image", "train", photos(notes_txt=b"mine"), ON_IMAGES, ["{here}/photos", "jpg, jpeg"]),
    ("one image", "train", photos("a.png"), [*ON_IMAGES, "--batch_size=1"],
     ["--neighbourhood_size=1", "images, 1", "add images"]),
    ("new class", "train", photos("train/a/1.png", "train/c/2.png", "test/b/1.png"),
     [*ON_IMAGES, "--eval_split=test"], ["'b'", "{here}/photos/test", "--labels=none"]),
    ("no npz", "train", nothing, ON_ARRAYS, ["npz:{here}/arrays.npz", "correct the path"]),
    ("folder for npz", "train", folder("arrays.npz"), ON_ARRAYS,
     ["{here}/arrays.npz", "does not exist"]),
    ("no list", "train", nothing, ON_LIST, ["--data=list:{here}/list.csv", "does not exist"]),
    ("list of no image", "train", file("list.csv", b"gone.png,a\n"), ON_LIST,
     ["--data=list:{here}/list.csv", "{here}/gone.png", "relative to the folder of the list"]),
    ("no boxes", "train", photos("a.png", "b.png"), [*ON_IMAGES, "--crop_to_box"],
     ["--crop_to_box", "--data=folder:{here}/photos", "list:"]),
    ("no mat", "train", nothing, ["--data=mat:{here}"], ["mat:{here}", "train_32x32.mat"]),
    ("bad mat", "train", file("train_32x32.mat", b"no mat"), ["--data=mat:{here}"],
     ["{here}/train_32x32.mat", "fetch the file again"]),
    ("split", "evaluate", nothing, ["--eval_split=dev"], ["'dev'", "Available: train, test"]),
    ("no folder to embed", "embed", nothing, IMAGES, ["{here}/photos", "correct the path"]),
    ("folder without images", "embed", folder("photos"), IMAGES, ["{here}/photos", "jpg, jpeg"]),
]  # fmt: skip

PICTURES = [
    ("zero bytes", "embed", photos("a.png", x_jpg=b""), STRICT,
     ["{here}/photos/x.jpg", "empty file", "--skip_broken"]),
    ("text", "embed", photos("a.png", x_jpg=b"no image"), STRICT,
     ["{here}/photos/x.jpg", "known format", "--skip_broken"]),
    ("postscript", "embed", photos("a.png", x_png=b"%!PS-Adobe-3.0 EPSF-3.0\n"), STRICT,
     ["{here}/photos/x.png", "known format", "--skip_broken"]),
    ("truncated jpeg", "embed", photos("a.png", x_jpg=jpeg()[:2000]), STRICT,
     ["{here}/photos/x.jpg", "truncated", "--skip_broken"]),
    ("truncated png", "embed", photos("a.png", x_png=png()[:-200]), STRICT,
     ["{here}/photos/x.png", "--skip_broken"]),
    ("truncated header", "embed", photos("a.png", x_png=png()[:20]), STRICT,
     ["{here}/photos/x.png", "--skip_broken"]),
    ("bomb", "embed", photos("a.png", x_png=huge_png(20_000, has_pixels=True)), STRICT,
     ["{here}/photos/x.png", "179 megapixels", "--skip_broken"]),
    ("claim", "embed", photos("a.png", x_png=huge_png(20_000, has_pixels=False)), STRICT,
     ["{here}/photos/x.png", "179 megapixels", "--skip_broken"]),
    ("broken link", "embed", photos("a.png", x_jpg=link_to("nowhere.jpg")), STRICT,
     ["{here}/photos/x.jpg", "No such file", "remove"]),
    ("link to itself", "embed", photos("a.png", x_jpg=link_to("x.jpg")), STRICT,
     ["{here}/photos/x.jpg", "symbolic links", "remove"]),
    ("pipe", "embed", photos("a.png", x_jpg=os.mkfifo), STRICT,
     ["{here}/photos/x.jpg", "not a regular file", "remove"]),
    ("device", "embed", photos("a.png", x_jpg=link_to("/dev/zero")), STRICT,
     ["{here}/photos/x.jpg", "not a regular file", "remove"]),
    ("none left", "embed", photos(x_jpg=b"", y_png=b"no"), IMAGES,
     ["2 broken", "{here}/photos/x.jpg", "none is left"]),
    ("broken bytes in its name", "embed", photos(**{"\udce9_jpg": b""}), STRICT,
     ["{here}/photos/", "remove"]),
    ("truncated jpeg to train on", "train", photos("a.png", "b.png", x_jpg=jpeg()[:2000]),
     ON_IMAGES, ["{here}/photos/x.jpg", "truncated", "--skip_broken"]),
    ("read late", "train", photos("a.png", "b.png", x_jpg=jpeg()[:2000]),
     [*ON_IMAGES, "--cache_mb=0"], ["{here}/photos/x.jpg", "truncated", "--skip_broken"]),
    ("bomb to train on", "train", photos("a.png", "b.png", x_png=huge_png(20_000, True)),
     ON_IMAGES, ["{here}/photos/x.png", "179 megapixels", "--skip_broken"]),
]  # fmt: skip

ARRAYS = [
    ("other keys", "train", arrays(images=ones(4, 8, 8, 3)), ON_ARRAYS,
     ["{here}/arrays.npz", "x_train", "Received images"]),
    ("float images", "train", arrays(x_train=ones(4, 8, 8, 3) / 255), ON_ARRAYS,
     ["{here}/arrays.npz", "float64", "astype('uint8')"]),
    ("nan images", "train", arrays(x_train=np.full((4, 8, 8, 3), np.nan, "float32")), ON_ARRAYS,
     ["{here}/arrays.npz", "float32", "uint8"]),
    ("signed images", "train", arrays(x_train=ones(4, 8, 8, 3, dtype="int16")), ON_ARRAYS,
     ["{here}/arrays.npz", "int16", "uint8"]),
    ("flat images", "train", arrays(x_train=ones(4, 192)), ON_ARRAYS,
     ["{here}/arrays.npz", "(4, 192)", "(N, H, W, 3)"]),
    ("four channels", "train", arrays(x_train=ones(4, 8, 8, 4)), ON_ARRAYS,
     ["{here}/arrays.npz", "(4, 8, 8, 4)", "(N, H, W, 3)"]),
    ("channels first", "train", arrays(x_train=ones(4, 3, 8, 8)), ON_ARRAYS,
     ["{here}/arrays.npz", "(4, 3, 8, 8)", "(N, H, W, 3)"]),
    ("one number", "train", arrays(x_train=np.uint8(3)), ON_ARRAYS, ["()", "(N, H, W, 3)"]),
    ("N = 0", "train", arrays(x_train=ones(0, 8, 8, 3)), ON_ARRAYS,
     ["{here}/arrays.npz", "(0, 8, 8, 3)"]),
    ("N = 1", "train", arrays(x_train=ones(1, 8, 8, 3)), [*ON_ARRAYS, "--batch_size=1"],
     ["--neighbourhood_size=1", "images, 1", "add images"]),
    ("no held-out image", "train", arrays(x_train=ones(4, 8, 8), x_test=ones(0, 8, 8)), ON_ARRAYS,
     ["{here}/arrays.npz test", "(0, 8, 8, 1)"]),
    ("few labels", "train", arrays(x_train=ones(4, 8, 8), y_train=np.arange(3)), ON_ARRAYS,
     ["{here}/arrays.npz", "4 images", "(3,)"]),
    ("one-hot labels", "train", arrays(x_train=ones(4, 8, 8), y_train=np.eye(4)), ON_ARRAYS,
     ["{here}/arrays.npz", "(4, 4)", "one integer"]),
    ("nan labels", "train", arrays(x_train=ones(4, 8, 8), y_train=np.full(4, np.nan)), ON_ARRAYS,
     ["{here}/arrays.npz", "float64", "convert them"]),
    ("words for labels", "train", arrays(x_train=ones(4, 8, 8), y_train=list("abcd")), ON_ARRAYS,
     ["{here}/arrays.npz", "<U1", "convert them"]),
    ("negative labels", "train", arrays(x_train=ones(4, 8, 8), y_train=np.arange(4) - 2),
     ON_ARRAYS, ["{here}/arrays.npz", "-2 .. 1", "-1 (none)"]),
    ("pickled images", "train", arrays(x_train=pickled), ON_ARRAYS,
     ["{here}/arrays.npz", "write or fetch the file again"]),
    ("pickled labels", "train", arrays(x_train=ones(4, 8, 8), y_train=pickled), ON_ARRAYS,
     ["{here}/arrays.npz", "write or fetch the file again"]),
    ("a pickle", "train", pickle_file, ON_ARRAYS,
     ["{here}/arrays.npz", "write or fetch the file again"]),
    ("text for npz", "train", file("arrays.npz", b"no zip"), ON_ARRAYS,
     ["{here}/arrays.npz", "write or fetch the file again"]),
    ("empty npz", "train", file("arrays.npz", b""), ON_ARRAYS,
     ["{here}/arrays.npz", "write or fetch the file again"]),
]  # fmt: skip

CHECKPOINTS = [
    ("finished with other flags", "train", nothing, ["--workdir={world}/run", "--temperature=0.2"],
     ["{world}/run", "--temperature=0.1, now 0.2", "choose another"]),
    ("other flags", "train", run(), [*CONTINUED, "--encoder=alexnet"],
     ["{here}/run", "--encoder=resnet_small, now alexnet", "repeat its settings"]),
    ("foreign checkpoint", "train", run(with_(facts=None)), CONTINUED,
     ["{here}/run/checkpoints/previous.npz", "corrupt", "train again"]),
    ("text for a checkpoint", "train",
     run(*(replaced(f"checkpoints/{n}.npz", b"no zip") for n in ("last", "previous"))), CONTINUED,
     ["{here}/run/checkpoints/previous.npz", "corrupt", "train again"]),
    ("cut checkpoint", "train",
     run(*(replaced(f"checkpoints/{n}.npz", lambda old: old[:9999]) for n in ("last", "previous"))),
     CONTINUED, ["{here}/run/checkpoints/previous.npz", "corrupt", "restore it"]),
    ("pickled checkpoint", "train", run(with_(bank=pickled)), CONTINUED,
     ["{here}/run/checkpoints/previous.npz", "corrupt", "train again"]),
    ("metadata are no JSON", "train", run(with_(facts=np.array("{step"))), CONTINUED,
     ["{here}/run/checkpoints/previous.npz", "corrupt", "train again"]),
    ("metadata are no names", "train", run(metadata(lambda held: [1])), CONTINUED,
     ["{here}/run/checkpoints/previous.npz", "corrupt", "train again"]),
    ("metadata of an older version", "train", run(metadata(lambda held: {"step": held["step"]})),
     CONTINUED, ["{here}/run/checkpoints/last.npz", "lacks best, curriculum", "version"]),
    ("older version", "train", run(with_(monitor__neighbours=None)), CONTINUED,
     ["{here}/run/checkpoints/last.npz", "monitor/neighbours", "version"]),
    ("other bank", "train", run(with_(bank=np.zeros((3, 8), "float32"))), CONTINUED,
     ["{here}/run/checkpoints/last.npz", "bank has shape (3, 8) there", "Use the settings"]),
    ("words for numbers", "train", run(with_(bank=np.full((64, 8), "x"))), CONTINUED,
     ["{here}/run/checkpoints/last.npz", "bank holds <U1, not float32", "Restore it"]),
    ("steps that the run has not", "train", run(metadata(lambda held: held | {"step": 10**9})),
     CONTINUED, ["{here}/run/checkpoints/last.npz", "step 1000000000", "restore it"]),
    ("another step than the optimizer's", "train", run(with_(optimizer__0000=np.int64(3))),
     CONTINUED, ["{here}/run/checkpoints/last.npz", "optimizer is at step 3", "restore it"]),
    ("neighbours that are no images", "train", run(with_(neighbours=np.full((64, 1), 64))),
     CONTINUED, ["{here}/run/checkpoints/last.npz", "neighbours holds 64", "to 63", "Restore it"]),
    ("neighbours before the first", "train",
     run(with_(monitor__neighbours=np.full((64, 10), -2, "int32"))), CONTINUED,
     ["{here}/run/checkpoints/last.npz", "monitor/neighbours holds -2", "Restore it"]),
    ("a round that the run has not", "train", run(with_(round=np.int32(99))),
     CONTINUED, ["{here}/run/checkpoints/last.npz", "its round is 99", "restore it"]),
    ("weights that are not finite", "export",
     run(with_(encoder__fc__bias=np.full(8, np.nan, "float32"))), CONTINUED,
     ["{here}/run/checkpoints/last.npz", "encoder/fc/bias holds NaN", "Restore it"]),
    ("an epoch that ends elsewhere", "train",
     run(metadata(lambda held: held | {"interrupted": {"epoch": 9, "logs": {}}})), CONTINUED,
     ["{here}/run/checkpoints/last.npz", "epoch 10 does not end", "restore it"]),
    ("metadata of other types", "train", run(metadata(lambda held: held | {"best": "high"})),
     CONTINUED, ["{here}/run/checkpoints/previous.npz", 'best is "high"', "restore it"]),
    ("state of another run", "train", run(metadata(other_seed)), CONTINUED,
     ["{here}/run/checkpoints/last.npz", "another run (--seed=1, here 0)", "remove it"]),
    ("state of other images", "train",
     run(metadata(lambda held: held | {"origin": {"images": "others"}})), CONTINUED,
     ["{here}/run/checkpoints/last.npz", "other images", "remove it"]),
    ("no run.json", "train", run(removed("run.json"), removed("images.npz")),
     [*CONTINUED, "--batch_size=33"], ["--batch_size=32, now 33"]),
    ("binary run.json", "train", run(replaced("run.json", b"\xff{")), CONTINUED,
     ["{here}/run/run.json", "restore it"]),
    ("half a run.json", "train", run(replaced("run.json", lambda old: old[:40])), CONTINUED,
     ["{here}/run/run.json", "restore it"]),
    ("run.json of nothing", "train", run(replaced("run.json", b"[]")), CONTINUED,
     ["{here}/run/run.json", "restore it"]),
    ("run.json without mean", "train", run(replaced("run.json", b"{}")), CONTINUED,
     ["{here}/run/run.json", "'mean'", "restore it"]),
    ("run.json with NaN", "train", run(run_json(mean=[float("nan")] * 3)), CONTINUED,
     ["{here}/run/run.json", "NaN", "restore it"]),
    ("run.json with words", "export", run(run_json(mean=["a", "b", "c"])), CONTINUED,
     ["{here}/run/run.json", "restore it"]),
    ("broken images.npz", "train", run(replaced("images.npz", b"no zip")), CONTINUED,
     ["{here}/run/images.npz", "restore it"]),
    ("short images.npz", "train", run(images_npz(checksums=np.zeros(3, "uint32"))), CONTINUED,
     ["{here}/run/images.npz", "(64,), (3,)", "restore it"]),
    ("other images", "train", run(images_npz(checksums=np.zeros(64, "uint32"))), CONTINUED,
     ["digits train[:64]", "64 edited (image 0", "Restore the images"]),
    ("other images, images.npz gone", "train", run(removed("images.npz"), run_json(fingerprint="")),
     CONTINUED, ["digits train[:64]", "fingerprint", "Restore the images"]),
    ("broken metrics", "train",
     run(replaced("metrics.jsonl", lambda old: b'{"step"\n' + old)), CONTINUED,
     ["{here}/run/metrics.jsonl", "line 1", "remove that line"]),
    ("binary metrics", "train", run(replaced("metrics.jsonl", lambda old: b"\xff\n" + old)),
     CONTINUED, ["{here}/run/metrics.jsonl", "line 1", "remove that line"]),
    ("unknown flag in flags.cfg", "train",
     run(replaced("flags.cfg", lambda old: old + b"--unknown=1\n")), CONTINUED,
     ["{here}/run/flags.cfg", "unknown", "restore it"]),
    ("binary flags.cfg", "train", run(replaced("flags.cfg", b"\xff\xfe")), CONTINUED,
     ["{here}/run/flags.cfg", "restore it"]),
    ("half a flags.cfg", "export", run(replaced("flags.cfg", lambda old: old[:20])), CONTINUED,
     ["{here}/run/flags.cfg", "restore it"]),
    ("other encoder", "export",
     run(replaced("flags.cfg", lambda old: old.replace(b"resnet_small", b"alexnet"))), CONTINUED,
     ["{here}/run/checkpoints/last.npz", "encoder='resnet_small', here alexnet", "flags.cfg"]),
    ("other encoder", "embed",
     run(replaced("flags.cfg", lambda old: old.replace(b"embedding_dim=8", b"embedding_dim=9"))),
     ["--model={here}/run"],
     ["{here}/run/checkpoints/last.npz", "embedding_dim='8', here 9", "flags.cfg"]),
    ("no checkpoint", "embed", run(removed("checkpoints/last.npz"),
     removed("checkpoints/previous.npz")), ["--model={here}/run"],
     ["{here}/run/checkpoints/last.npz", "train first"]),
]  # fmt: skip

EXPORTS = [
    ("no run", "export", nothing, CONTINUED, ["--workdir={here}/run", "train first"]),
    ("no run", "evaluate", nothing, CONTINUED, ["--workdir={here}/run", "train first"]),
    ("folder without run", "export", photos("a.png"), ["--workdir={here}/photos"],
     ["--workdir={here}/photos", "name the folder of a run"]),
    ("no checkpoint", "export", run(removed("checkpoints/last.npz"),
     removed("checkpoints/previous.npz")), CONTINUED,
     ["{here}/run/checkpoints/last.npz", "train first"]),
    ("no checkpoint", "evaluate", run(removed("checkpoints/last.npz"),
     removed("checkpoints/previous.npz")), CONTINUED,
     ["{here}/run/checkpoints/last.npz", "train first"]),
    ("format", "export", nothing, ["--format=pickle"], ["--format=pickle", "savedmodel"]),
    ("suffix", "export", nothing, ["--output={here}/a.pb"], ["{here}/a.pb", "ending in .keras"]),
    ("all in one", "export", nothing, ["--format=all"], ["{here}/encoder.keras", "one format"]),
    ("onto notes", "export", file("encoder.keras", b"mine"), [],
     ["{here}/encoder.keras", "not overwritten", "another path"]),
    ("onto another model", "export", keras_model((8, 9, 3), name="encoder.keras"), [],
     ["{here}/encoder.keras", "not overwritten", "another path"]),
    ("onto photos", "export", photos("a.png"), ["--format=savedmodel", "--output={here}/photos"],
     ["{here}/photos", "not overwritten", "another path"]),
    ("onto another SavedModel", "export", foreign_savedmodel,
     ["--format=savedmodel", "--output={here}/model"], ["{here}/model", "not overwritten"]),
    ("folder for a file", "export", folder("encoder.keras"), [],
     ["{here}/encoder.keras", "not overwritten", "another path"]),
    ("in a file", "export", file("x", b"mine"), ["--output={here}/x/a.keras"],
     ["{here}/x/a.keras", "below a file", "another path"]),
    ("table", "embed", nothing, ["--output={here}/a.csv"], ["{here}/a.csv", ".parquet"]),
    ("table below a file", "embed", file("b", b"mine"), ["--output={here}/b/c/a.npz"],
     ["--output", "{here}/b", "choose another"]),
    ("folder for a table", "embed", folder("a.npz"), ["--output={here}/a.npz"],
     ["--output", "{here}/a.npz", "another name"]),
    ("folder for the list", "embed", folder("a.duplicates.csv"), ["--output={here}/a.npz"],
     ["--output", "{here}/a.duplicates.csv", "another name"]),
    ("gallery", "embed", nothing, ["--gallery={here}/a.jpg"], ["--gallery={here}/a.jpg", ".png"]),
    ("folder for the gallery", "embed", folder("a.png"), ["--gallery={here}/a.png"],
     ["--gallery", "{here}/a.png", "another name"]),
]  # fmt: skip

MODELS = [
    ("no model", "embed", nothing, [KERAS],
     ["{here}/model.keras", "does not exist", "Name the folder of a run"]),
    ("photos", "embed", photos("a.png"), ["--model={here}/photos"],
     ["{here}/photos", "Name an export"]),
    ("other suffix", "embed", file("a.h5", b""), ["--model={here}/a.h5"], ["{here}/a.h5", ".onnx"]),
    ("pipe", "embed", lambda here, world: os.mkfifo(here / "model.keras"), [KERAS],
     ["{here}/model.keras", "is not a regular file"]),
    ("truncated", "embed", truncated_export, [KERAS], ["{here}/model.keras", "again"]),
    ("code inside", "embed", lambda_model, [KERAS], ["{here}/model.keras", "Lambda"]),
    ("two outputs", "embed", keras_model(outputs=2), [KERAS],
     ["{here}/model.keras", "2 outputs", "save"]),
    ("not square", "embed", keras_model((16, 20, 3)), [KERAS],
     ["{here}/model.keras", "(16, 20, 3)", "(side, side, 3)", "save it"]),
    ("grey", "embed", keras_model((16, 16, 1)), [KERAS],
     ["{here}/model.keras", "(16, 16, 1)", "(side, side, 3)", "save it"]),
    ("diverged", "embed", diverged_export, [KERAS], ["{here}/model.keras", "Export it again"]),
    ("foreign SavedModel", "embed", foreign_savedmodel, [SAVEDMODEL],
     ["{here}/model", "not an encoder", "Name an export"]),
    ("no weights", "embed", savedmodel_without_weights, [SAVEDMODEL],
     ["{here}/model", "is a program", "again"]),
    ("no size", "embed", savedmodel(image_size=None), [SAVEDMODEL],
     ["{here}/model", "Name an export"]),
    ("word for size", "embed", savedmodel(image_size="16"), [SAVEDMODEL],
     ["{here}/model/assets.extra/encoder.json", 'image_size is "16"', "again"]),
    ("SavedModel with another checksum", "embed", savedmodel(checksum="0"), [SAVEDMODEL],
     ["{here}/model", "is a program", "Export the encoder again", "--trust_model"]),
    ("garbage", "embed", file("model.onnx", b"garbage"), [ONNX], ["{here}/model.onnx", "again"]),
    ("flat ONNX", "embed", onnx_model(["b"]), [ONNX], ["{here}/model.onnx", "Name an export"]),
    ("ONNX of any size", "embed", onnx_model(["b", "h", "w", 3]), [ONNX],
     ["{here}/model.onnx", "Name an export"]),
    ("float ONNX", "embed", onnx_model(["b", 16, 16, 3], "FLOAT"), [ONNX],
     ["{here}/model.onnx", "uint8"]),
    ("garbage", "embed", file("a.tflite", b"garbage" * 9), ["--model={here}/a.tflite"],
     ["{here}/a.tflite", "again"]),
]  # fmt: skip

GROUPS = {"flags": FLAGS, "sources": SOURCES, "images": PICTURES, "arrays": ARRAYS}
GROUPS |= {"runs": CHECKPOINTS, "outputs": EXPORTS, "models": MODELS}
CASES = [
    pytest.param(*case, id=f"{group}: {name} ({case[0]})")
    for group, cases in GROUPS.items()
    for name, *case in cases
]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A finished run and four valid photos, which no command may change."""
    world = tmp_path_factory.mktemp("world")
    assert programs.train([*TINY, f"--workdir={world / 'run'}", "--checkpoint_steps=1"]) == 0
    photos("1.png", "2.png", "3.png", "4.png")(world, None)
    return world


def states(folder):
    """What stands in a folder: size and time of change of every file, target of every link."""
    return {
        path: os.readlink(path) if path.is_symlink() else (stat.st_size, stat.st_mtime_ns)
        for path in folder.rglob("*")
        if path.name != "lock" and not ((stat := path.lstat()) and path.is_dir())
    }


def command(program, flags, here, world):
    places = {"here": here, "world": world}
    return [flag.format(**places) for flag in [*PLAIN[program], *flags]]


def refused(program, flags, capfd):
    """The one line on stderr of a command that must end with status 2."""
    capfd.readouterr()
    try:
        status = getattr(programs, program)(flags)
    except SystemExit as end:
        status = end.code
    lines = capfd.readouterr().err.strip().splitlines()
    assert status == 2, lines
    assert not any(re.search(r"\bpass [a-z_]+=", line) for line in lines)  # no flag of the program
    return lines


def test_there_are_many_cases():
    assert len(CASES) >= 60


@pytest.mark.parametrize(("program", "make", "flags", "words"), CASES)
def test_bad_input_is_refused_in_one_line(program, make, flags, words, world, tmp_path, capfd):
    """Status 2, one line that names the value and the remedy, and no file touched."""
    for name in ("table.npz", "table.duplicates.csv"):
        (tmp_path / name).write_bytes(b"an older table")
    make(tmp_path, world)
    before = states(tmp_path), states(world)
    *others, line = refused(program, command(program, flags, tmp_path, world), capfd)
    assert (states(tmp_path), states(world)) == before
    assert line.startswith(f"{program}.py: ")
    for word in words:
        assert word.format(here=tmp_path, world=world) in line
    # Of a checkpoint.
    assert len(others) <= 1 and all("is corrupt: trying" in other for other in others)


@pytest.mark.parametrize("skip_broken", [False, True])
def test_a_bomb_is_refused_before_it_is_decoded(skip_broken, world, tmp_path, capfd, monkeypatch):
    def decode(self):
        raise AssertionError(f"{self.size} is decoded")

    photos(x_png=huge_png(20_000, has_pixels=True))(tmp_path, world)
    monkeypatch.setattr(ImageFile.ImageFile, "load", decode)
    flags = [*IMAGES, f"--skip_broken={skip_broken}"]
    (line,) = refused("embed", command("embed", flags, tmp_path, world), capfd)
    assert "179 megapixels" in line


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_rights_is_refused(world, tmp_path, capfd):
    photos("a.png", "x.png")(tmp_path, world)
    (tmp_path / "photos" / "x.png").chmod(0)
    (line,) = refused("embed", command("embed", STRICT, tmp_path, world), capfd)
    assert "x.png (Permission denied)" in line and "--skip_broken" in line


def test_an_image_that_is_replaced_under_the_run_ends_it_at_its_last_checkpoint(
    world, tmp_path, capfd, monkeypatch
):
    photos("a.png", "b.png", "c.png")(tmp_path, world)
    plain = callbacks.Checkpoints.on_epoch_end

    def break_an_image(self, epoch, logs=None):
        plain(self, epoch, logs)
        (tmp_path / "photos" / "b.png").write_bytes(b"no image")

    monkeypatch.setattr(callbacks.Checkpoints, "on_epoch_end", break_an_image)
    flags = [*ON_IMAGES, "--cache_mb=0", "--epochs_per_round=9"]
    *messages, line = refused("train", command("train", flags, tmp_path, world), capfd)
    assert f"{tmp_path}/photos/b.png has changed" in line and "put the original file back" in line
    assert messages[-1].startswith("epoch 1/9")  # and nothing of TensorFlow's own in between
    assert not any(re.match(r"[IWEF]\d{4} |Traceback", message) for message in messages)
    assert (tmp_path / "new" / "checkpoints" / "last.npz").is_file()


# name, program, what is made, flags, words of the output: odd, but no error
FINE = [
    ("a copy", "embed", photos("a.png", "b.png", c_png=png(seed=0)), IMAGES,
     ["3 images", "keep a.png, not c.png (identical)"]),
    ("one pixel", "embed", photos("a.png", x_png=png(1)), IMAGES, ["2 images"]),
    ("a line of pixels", "embed", photos("a.png", x_png=png(1, height=900)), IMAGES, ["2 images"]),
    ("name that is not UTF-8", "embed", photos("a.png", "\udce9.png"), IMAGES, ["2 images"]),
    ("PNG named jpg", "embed", photos("a.png", x_jpg=png()), IMAGES, ["2 images"]),
    ("JPEG named png", "embed", photos("a.png", x_png=jpeg()), IMAGES, ["2 images"]),
    ("folder named jpg", "embed", photos("a.png", "x.jpg/b.png"), IMAGES, ["2 images"]),
    ("empty folder named jpg", "embed", photos("a.png", x_jpg=Path.mkdir), IMAGES, ["1 images"]),
    ("hidden and broken", "embed", photos("a.png", **{".x_png": b""}), IMAGES, ["1 images"]),
    ("linked to each other", "embed",
     photos("a/1.png", "b/2.png", **{"a/to": link_to("../b"), "b/to": link_to("../a")}), IMAGES,
     ["2 images", "left out 2 link(s)"]),
    ("linked to above", "embed", photos("a/1.png", **{"a/up": link_to("../..")}), IMAGES,
     ["1 images"]),
    ("broken and skipped", "embed", photos("a.png", x_jpg=b"", y_jpg=jpeg()[:2000]),
     IMAGES, ["1 images", "2 files that cannot be read", "x.jpg (empty file)"]),
    ("model for any size", "embed", keras_model((None, None, 3)), [KERAS], ["4 images"]),
    ("no epochs", "train", nothing, ["--epochs_per_round=0"],
     ["random weights", "Raise --epochs_per_round", "(--init)", "Verdict: Untrained"]),
    ("N = 2, equal", "train", arrays(x_train=ones(2, 8, 8), y_train=np.array([[0], [-1]])),
     [*ON_ARRAYS, "--rounds=1"], ["round 1", "Encoder"]),
    ("odd photos", "train",
     photos("a.png", "\udce9.png", x_jpg=png(1), y_png=png(seed=0), z_jpg=b""),
     [*ON_IMAGES, "--skip_broken"], ["4 images", "Encoder"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("program", "make", "flags", "words"),
    [pytest.param(*case, id=f"{name} ({case[0]})") for name, *case in FINE],
)
def test_odd_input_is_no_error(program, make, flags, words, world, tmp_path, capfd):
    make(tmp_path, world)
    before = states(world)
    capfd.readouterr()
    assert getattr(programs, program)(command(program, flags, tmp_path, world)) == 0
    said = "".join(capfd.readouterr())
    assert all(word in said for word in words), said
    assert states(world) == before
