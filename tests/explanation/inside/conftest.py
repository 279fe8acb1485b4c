"""Shared by the looks inside: the real network."""

import pytest

import opsin


@pytest.fixture(scope="session")
def lite0():
    """EfficientNet-Lite0 with its real weights."""
    return opsin.build_model("efficientnet_lite0", pretrained=True)
