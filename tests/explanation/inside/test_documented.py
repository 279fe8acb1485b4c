"""The looks inside that the documentation describes have the signatures that it gives."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import opsin

REFERENCE = Path(__file__).parents[3] / "docs"
DESCRIBED = ("receptive_field", "top_images", "embed", "layers")


@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.parametrize("name", DESCRIBED)
def test_signatures_are_the_real_ones(language, name):
    text = (REFERENCE / language / "reference" / "python.md").read_text("utf-8")
    written = re.search(rf"`{name}\((.*?)\) -> (\w+)`", text)
    assert written, name
    assert parameters(eval(f"lambda {written[1]}: 0")) == parameters(getattr(opsin.inside, name))
    assert hasattr(opsin.records, written[2])


def parameters(function) -> list[tuple]:
    """Name, kind and default of each parameter."""
    return [(item.name, item.kind, item.default) for item in inspect.signature(function).parameters.values()]


def test_a_name_of_the_package_is_the_function_and_never_a_module():
    assert all(inspect.isfunction(getattr(opsin.inside, name)) for name in opsin.inside.__all__)
