"""What tests of the views share."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from opsin.reporting.views.questions import answer
from opsin.reporting.views.subject import Subject


@pytest.fixture(scope="session")
def kept_check(digits_run, tmp_path_factory) -> tuple[Subject, dict[str, Any]]:
    """A run that keeps what a check of grad_cam said, and the answer then."""
    folder = tmp_path_factory.mktemp("checked") / "digits"
    shutil.copytree(digits_run.path, folder)
    subject = Subject.of(folder)
    assert answer(subject, "methods", {})["kept"] == {}  # what was known before must not hide what is kept now
    return subject, answer(subject, "check", {"method": "grad_cam", "keep": True})
