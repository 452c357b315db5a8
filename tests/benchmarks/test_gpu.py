"""The benchmark of a GPU, small and on the CPU: what it shows and survives, not how fast it is."""

import json

import keras
import pytest
from helpers.small_runs import make_runs_small

from benchmarks import gpu

TINY = [
    "--rows=64", "--queries=16", "--batch=16", "--steps=3", "--product=32", "--repeats=1",
    "--epochs=1",
]  # fmt: skip
RUN = (
    "--data=digits --encoder=resnet_small --image_size=16 --embedding_dim=8 --rounds=1 "
    "--train_split=train[:64] --eval_split=test[:32] --batch_size=16"
)


@pytest.fixture(autouse=True)
def policy():
    before = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(before)


def measured(part, *flags):
    return gpu.measure(part, gpu._parser().parse_args([*TINY, *flags]))


def test_a_step_is_held_against_the_devices_own_matrix_products():
    metrics = measured("step:resnet_small:float32")
    assert metrics["device"] == "CPU"
    assert metrics["images/s"] == pytest.approx(16_000 / metrics["ms a step"])
    gflop = metrics["of the matrix product's rate, %"] / 100 * metrics["matrix product, TFLOP/s"]
    # The stem multiplies 0.44 million times an image, stage 1 4.72, each of the others 3.67.
    assert 1e6 * gflop / metrics["images/s"] == pytest.approx(
        2 * (2 * 0.4424 + 3 * (4.7186 + 3 * 3.6700)), rel=0.01
    )


@pytest.mark.parametrize(("variant", "is_xla"), [("", False), (":host", False), (":xla", True)])
def test_the_step_is_compiled_where_asked_for(monkeypatch, variant, is_xla):
    class Asked(Exception):
        pass

    class Model:
        def compile(self, optimizer, jit_compile, **others):
            raise Asked(jit_compile)

    monkeypatch.setattr(gpu, "_half_trained_model", lambda options, name: Model())
    with pytest.raises(Asked, match=str(is_xla)):
        measured(f"step:alexnet:mixed{variant}")


def test_an_unknown_variant_of_the_step_is_refused():
    with pytest.raises(SystemExit, match="not sideways"):
        measured("step:alexnet:mixed:sideways")


def test_the_short_run_tells_its_knn(monkeypatch):
    make_runs_small(monkeypatch)
    metrics = measured("run", f"--run_flags={RUN}")
    assert 0 <= metrics["kNN top-1, %"] <= 100 and metrics["epochs"] == 2
    assert "--data_dir" in measured("run")["skipped"]


@pytest.mark.parametrize("part", ["discovery", "knn"])
def test_the_parts_about_the_bank_tell_seconds(part):
    assert measured(part)["seconds"] > 0


def test_a_gpu_that_is_asked_for_must_be_there():
    with pytest.raises(SystemExit, match="no GPU"):
        measured("knn", "--device=gpu")


def test_a_part_that_is_too_slow_or_fails_says_so_and_the_next_one_runs(tmp_path, capsys):
    path = tmp_path / "found.json"
    gpu.main([*TINY, "--parts=knn,knn", "--limit_s=0.1", f"--json={path}"])
    lines = capsys.readouterr().out.splitlines()[-2:]
    assert all("| knn | stopped over its limit of 0.1 s" in line for line in lines)
    assert list(json.loads(path.read_text())["parts"]) == ["knn"]
    gpu.main([*TINY, "--parts=step:unknown:float32", "--device=cpu"])
    assert "failed UserError: encoder='unknown'" in capsys.readouterr().out
