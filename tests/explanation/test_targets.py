"""What is explained: every form of target, and every wrong one in one line."""

import numpy as np
import pytest
import torch

from opsin.errors import OpsinError
from opsin.explanation.targets import resolve_targets

CLASSES = ("ant", "bee", "cat")
LOGITS = torch.tensor([[1.0, 3.0, 2.0], [5.0, 0.0, 1.0]])


@pytest.mark.parametrize(
    ("target", "classes"),
    [
        (None, [[1], [0]]),
        ("cat", [[2], [2]]),
        (0, [[0], [0]]),
        (np.int64(1), [[1], [1]]),
        ([2, 0], [[2], [0]]),
        (["bee", 0], [[1], [0]]),
        (np.array([2, 1]), [[2], [1]]),
        (torch.tensor([0, 1]), [[0], [1]]),
        ([[0, 1], [1, 2]], [[0, 1], [1, 2]]),
        (np.array([[2], [0]]), [[2], [0]]),
        ("all", [[0, 1, 2], [0, 1, 2]]),
    ],
)
def test_every_form(target, classes):
    found = resolve_targets(target, LOGITS, CLASSES)
    assert found.classes.tolist() == classes
    assert found.against is None
    np.testing.assert_allclose(found.scores(LOGITS), np.take_along_axis(LOGITS.numpy(), np.array(classes), axis=1))


def test_a_pair_is_a_difference():
    found = resolve_targets(("cat", "ant"), LOGITS, CLASSES)
    assert found.scores(LOGITS).tolist() == [[1.0], [-4.0]]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("bees", r"there is no class 'bees' \(did you mean bee\?\)"),
        ("x", "there is no class 'x'; the classes are ant, bee, cat"),
        (3, "target 3 is beyond the 3 classes; give 0 to 2"),
        (-1, "target -1 is beyond the 3 classes"),
        ([0], "1 targets were given for 2 images"),
        ([0, 1, 2], "3 targets were given for 2 images"),
        ([[0, 1], [2]], "rows of different lengths"),
        ([[], []], "rows of different lengths"),
        (1.5, "a target of type float was given"),
        (True, "a target of type bool was given"),
        (("cat", "cat"), "holds one class twice"),
    ],
)
def test_what_is_wrong_is_one_line(target, message):
    with pytest.raises(OpsinError, match=message) as error:
        resolve_targets(target, LOGITS, CLASSES)
    assert "\n" not in str(error.value)


def test_a_class_called_all_is_meant_when_there_is_one():
    assert resolve_targets("all", LOGITS, ("all", "bee", "cat")).classes.tolist() == [[0], [0]]
