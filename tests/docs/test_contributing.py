"""What docs/contributing.md shows of a method obeys its settings, works on replicas, exists."""

import re
import sys
import types

import numpy as np
import pytest
from helpers.pages import ROOT, code_blocks

import and_tf
from and_tf.bank.settings import BankSettings
from and_tf.methods.method import TrainingContext

pytestmark = pytest.mark.usefixtures("thin_resnet")

TEXT = (ROOT / "docs" / "contributing.md").read_text()


@pytest.fixture
def attraction(monkeypatch):
    """The class of the page's example of a method."""
    (code,) = (b.code for b in code_blocks(TEXT, "python") if "class Attraction(Method)" in b.code)
    module = types.ModuleType("attraction")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(code, vars(module))
    return module.Attraction


def build(method):
    encoder = and_tf.build_encoder("resnet_small", (16, 16, 3), embedding_dim=8, seed=0)
    return method.build_model(encoder, and_tf.open_source("digits", "train[:32]"), seed=0)


def test_the_method_obeys_the_settings_of_its_bank(attraction):
    model = build(attraction(bank=BankSettings(temperature=0.2, bank_rate=0.25, logits_mb=3)))
    assert (model.temperature, model.bank.rate, model.logits_budget_mb) == (0.2, 0.25, 3)
    assert model.state()[attraction.bank_array] is model.bank.rows


def test_the_method_trains_on_two_replicas(attraction, two_replicas):
    with two_replicas.scope():
        model = build(attraction())
        model.compile(and_tf.TorchSGD(0.03))
    source = and_tf.open_source("digits", "train[:32]")
    augmentation = and_tf.data.AugmentationSettings(image_size=16)
    batches = and_tf.train_pipeline(source, 16, augmentation, step=model.optimizer.iterations)
    history = model.fit(batches, epochs=1, shuffle=False, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_the_members_of_a_context_that_are_named_exist():
    section = TEXT.split("## A method")[1].split("\n## ")[0]
    named = set(re.findall(r"\bcontext\.(\w+)", section))
    assert named
    assert named <= set(TrainingContext.__dataclass_fields__)
