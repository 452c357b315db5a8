"""An encoder and its SavedModel, made once for all tests of exports."""

import pytest
from helpers.trained_encoders import trained_encoder

from and_tf import export


@pytest.fixture(scope="session")
def encoder():
    return trained_encoder("resnet_small")


@pytest.fixture(scope="session")
def saved(encoder, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "model"
    return export.export_encoder(encoder, path, "savedmodel")
