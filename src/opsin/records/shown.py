"""Records show themselves in a notebook."""

from __future__ import annotations

from typing import Any


class Shown:
    """Shows itself in Jupyter and VS Code."""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:  # noqa: ARG002
        """What IPython shows, by MIME type: text, HTML that stands by itself, and for a run its views."""
        # the one import upwards: showing knows of records, records know only that they can be shown
        from opsin.reporting.notebook.bundles import bundle

        return bundle(self)
