"""Encoders and their exports, made once for all tests."""

import pytest
from helpers.thin_resnet import thin_resnets
from helpers.trained_encoders import colour_encoder, smooth_pixels, trained_encoder

from and_tf import export


@pytest.fixture(scope="session")
def encoder():
    with pytest.MonkeyPatch.context() as patch:
        thin_resnets(patch)
        return trained_encoder("resnet_small")


@pytest.fixture(scope="session")
def saved(encoder, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "model"
    return export.export_encoder(encoder, path, "savedmodel")


@pytest.fixture(scope="session")
def of_colours():
    """An encoder whose embeddings tell images apart."""
    return colour_encoder("resnet_small")


@pytest.fixture(scope="session")
def exports_of_colours(of_colours, tmp_path_factory):
    """Its exports: a path for each format."""
    folder = tmp_path_factory.mktemp("exports")
    images = smooth_pixels(100, seed=4)
    return {
        name: export.export_encoder(of_colours, folder / f"{name}{form.suffix}", name, images)
        for name, form in export.FORMATS.items()
    }
