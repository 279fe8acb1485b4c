"""The widget: anywidget carries the views' messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import anywidget
import traitlets

from opsin.reporting.built import script
from opsin.reporting.notebook.answering import Answering
from opsin.reporting.views.subject import Subject


class View(anywidget.AnyWidget):
    """One view of a subject, or several behind tabs.

    Attributes:
        view: the one that is shown.
        views: those that can be chosen.
        selection: what is chosen in them: image, layer, channel, unit, step, beside, class, method, scope. Setting it
            moves the views.
        language, theme, motion: how they look.
    """

    host = traitlets.Unicode("notebook").tag(sync=True)
    view = traitlets.Unicode("flow").tag(sync=True)
    views = traitlets.List(traitlets.Unicode()).tag(sync=True)
    selection = traitlets.Dict().tag(sync=True)
    language = traitlets.Unicode("en").tag(sync=True)
    theme = traitlets.Unicode("auto").tag(sync=True)
    motion = traitlets.Unicode("auto").tag(sync=True)

    def __init__(self, subject: Subject, again: Callable[[], Subject], views: Sequence[str], **state: Any) -> None:
        selection = {"image": next((f"{group}/0" for group in subject.images.groups()), None)}
        super().__init__(_esm=script("widget.js"), view=views[0], views=list(views), selection=selection, **state)
        self._answering = Answering(subject, again, self._tell)
        self.on_msg(self._hear)

    def _hear(self, _widget: Any, content: Mapping[str, Any], buffers: Sequence[memoryview]) -> None:
        self._answering.heard(content, buffers)

    def _tell(self, content: Mapping[str, Any], buffers: Sequence[bytes]) -> None:
        self.send(dict(content), list(buffers))

    def close(self) -> None:
        """Take the widget away, and end what it is working out."""
        self._answering.close()
        super().close()
