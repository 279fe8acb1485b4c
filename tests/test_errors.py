from __future__ import annotations

import pytest

from opsin.errors import CheckFailed, OpsinError, did_you_mean, first_line, some


def test_a_failed_check_is_told_from_misuse():
    assert issubclass(CheckFailed, OpsinError)
    assert not issubclass(OpsinError, CheckFailed)


def test_did_you_mean():
    assert did_you_mean("resnett18", ["resnet18", "vgg16"]) == " (did you mean resnet18?)"
    assert did_you_mean("zzz", ["resnet18"]) == ""


@pytest.mark.parametrize(("text", "line"), [("a\nb", "a"), ("\n  a  \n", "a"), ("", "KeyError")])
def test_first_line(text: str, line: str):
    assert first_line(KeyError() if not text else ValueError(text)) == line


def test_some():
    assert some([]) == ""
    assert some(["a", "b"]) == "a, b"
    assert some(list("abcde")) == "a, b, c, d, e"
    assert some([str(i) for i in range(1005)]) == "0, 1, 2, 3, 4 and 1,000 more"
