"""`opsin.show`: the views of a run or model in a notebook."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from opsin.errors import OpsinError, did_you_mean
from opsin.models.classifier import Classifier
from opsin.reporting.texts import LANGUAGES, Language
from opsin.reporting.views.subject import Subject
from opsin.training.run import Run

if TYPE_CHECKING:
    from opsin.reporting.notebook.widget import View

VIEWS = ("flow", "film", "why", "space", "classes", "compare", "maps", "filters", "channel")
"""As in `web/src/hosts/frame/views.ts`."""
OF_A_MODEL = ("flow", "why", "maps", "filters", "channel")
OF_RECORDS = ("film", "why", "space", "classes", "maps", "filters")
MISSING = 'views in a notebook need anywidget, which is not installed; run pip install "opsin[notebook]"'


def show(thing: Classifier | Run | str | Path, *views: str, language: Language = "en", theme: str = "auto") -> View:
    """Look into a run or a model in a notebook: the views of `opsin studio`, answered in the kernel.

    Args:
        thing: a Classifier, a Run, a run folder, or a `.safetensors` or `.onnx` file.
        views: which: flow, film, why, space, classes, maps, filters, channel. Of several one is shown behind its tab;
            none named: all that have something to show.
        language: "en" or "zh-CN".
        theme: "auto" (as the notebook has it), "light" or "dark".

    Returns:
        A widget. The last expression of a cell shows itself.

    Raises:
        OpsinError: nothing can be opened, a view or setting is unknown, or anywidget is not installed.
    """
    for view in views:
        if view not in VIEWS or view == "compare":
            known = [name for name in VIEWS if name != "compare"]
            raise OpsinError(f"there is no view {view!r}{did_you_mean(view, known)}; the views are {', '.join(known)}")
    if language not in LANGUAGES:
        raise OpsinError(f"language {language!r} was given; expected one of {', '.join(LANGUAGES)}")
    if theme not in ("auto", "light", "dark"):
        raise OpsinError(f"theme {theme!r} was given; expected auto, light or dark")
    if not has_widgets():
        raise OpsinError(MISSING)
    from opsin.reporting.notebook.widget import View

    subject = Subject.of(thing)
    return View(subject, _again(thing), views or views_of(subject), language=language, theme=theme)


def has_widgets() -> bool:
    """Whether anywidget is installed."""
    return find_spec("anywidget") is not None


def views_of(subject: Subject) -> Sequence[str]:
    """The views that have something to show of a subject."""
    if subject.run is None:
        return OF_A_MODEL
    records = [name for name in OF_RECORDS if name != "classes" or subject.run.scores is not None]
    return records if subject.model_missing else [name for name in VIEWS if name in {*OF_A_MODEL, *records}]


def _again(thing: Classifier | Run | str | Path) -> Callable[[], Subject]:
    """Opens the same thing with a network of its own."""
    if not isinstance(thing, Classifier):
        return lambda: Subject.of(Run(thing.path) if isinstance(thing, Run) else thing)

    def copied() -> Subject:
        twin = copy.copy(thing)
        twin.module = copy.deepcopy(thing.module)
        return Subject.of(twin)

    return copied
