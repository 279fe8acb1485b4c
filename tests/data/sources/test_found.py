from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from opsin.data.sources.found import Found
from opsin.errors import OpsinError


def test_one_of_each_per_picture():
    assert len(Found("x", [Path("a"), Path("b")], ["cat", "dog"], ["a", "b"])) == 2
    with pytest.raises(OpsinError, match=r"x does not hold one of each per picture: .*'pictures': 3.*'splits': 2"):
        Found("x", np.zeros((3, 2, 2), np.uint8), ["a"] * 3, ["1", "2", "3"], splits=["train", None])
