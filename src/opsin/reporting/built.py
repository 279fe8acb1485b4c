"""The built views: files that `web/build.js` makes, and of which sources they were made."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path

from opsin.errors import OpsinError

ROOTS = ("src", "build.js", "package.json", "package-lock.json", "svelte.config.js", "tsconfig.json")
"""What the built files depend on, in `web/`; as in `web/build.js`."""


def script(name: str) -> str:
    """A built script: `widget.js` (notebooks) or `report.js`.

    Raises:
        OpsinError: it is not there: a checkout in which the views were not built.
    """
    built = files("opsin.reporting").joinpath("static", name)
    if not built.is_file():
        raise OpsinError(f"the views are not built ({name} is missing); run make web")
    return built.read_text("utf-8")


def sources_digest(web: Path) -> str:
    """SHA-256 over names and contents of the sources in `web/`, as `web/build.js` writes it into `sources.json`."""
    found = [path for root in ROOTS for path in ((web / root).rglob("*") if root == "src" else (web / root,))]
    names = sorted(path.relative_to(web).as_posix() for path in found if path.is_file())
    digest = hashlib.sha256()
    for name in names:
        digest.update(f"{name} {hashlib.sha256((web / name).read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()
