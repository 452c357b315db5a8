"""The public names take what docs and users rely on, in that order and by those names."""

import inspect

import pytest

import and_tf

SIGNATURES = {
    "AND": "encoder, num_samples, neighbourhood_size=1, temperature=0.1, rate=0.5",
    "MemoryBank": "num_samples, dim, rate=0.5, temperature=0.1",
    "NeighbourhoodCurriculum": "rounds=4, epochs_per_round=200",
    "TorchSGD": "learning_rate, momentum=0.0, nesterov=False, weight_decay=0.0",
    "bank_loss": "embeddings, rows, indices, neighbours, is_anchor, temperature, block_size",
    "discover": "rows, neighbourhood_size=1, temperature=0.1, block_size=None",
    "embed": "images, encoder, layer='auto'",
    "group_loss": "first, second, num_clusters, iterations=5, temperature=0.2",
    "load_encoder": "path",
    "neighbourhood_loss": "logits, indices, neighbours, is_anchor",
    "neighbours": "embeddings, k=10",
    "select_anchors": "entropy, num_anchors",
    "unification_entropy": "embeddings, rows, indices, temperature, block_size",
    "weighted_knn": "rows, labels, queries, k=200, temperature=0.1, num_classes=None",
}


def written(parameter):
    is_required = parameter.default is inspect.Parameter.empty
    return parameter.name if is_required else f"{parameter.name}={parameter.default!r}"


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_public_name_takes_what_is_promised(name):
    expected = SIGNATURES[name].split(", ")
    parameters = inspect.signature(getattr(and_tf, name)).parameters.values()
    found = [written(parameter) for parameter in parameters][: len(expected)]
    by_name = [text.partition("=")[0] for text in found]
    assert [
        one if "=" in promised else bare
        for one, bare, promised in zip(found, by_name, expected, strict=True)
    ] == expected
