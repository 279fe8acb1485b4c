"""`opsin.report`: a Run becomes one HTML file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opsin import __version__
from opsin.errors import OpsinError
from opsin.files import write_text
from opsin.reporting.page.render import Page, render
from opsin.reporting.parts.calibration import calibration
from opsin.reporting.parts.curves import curves
from opsin.reporting.parts.data import data
from opsin.reporting.parts.embeddings import embeddings
from opsin.reporting.parts.film import film
from opsin.reporting.parts.filters import filters
from opsin.reporting.parts.flow import Flow
from opsin.reporting.parts.inputs import inputs
from opsin.reporting.parts.material import Material, Missing
from opsin.reporting.parts.mistakes import mistakes
from opsin.reporting.parts.provenance import provenance
from opsin.reporting.parts.scores import scores
from opsin.reporting.parts.shortcuts import shortcuts
from opsin.reporting.parts.summary import summary
from opsin.reporting.parts.why import why
from opsin.reporting.texts import LANGUAGES, Language, say
from opsin.reporting.views.stored import Stored, stored
from opsin.reporting.views.subject import Subject
from opsin.training.run import Run

PARTS: Mapping[str, Callable[[Material], Any]] = {
    "summary": summary,
    "curves": curves,
    "film": film,
    "filters": filters,
    "inputs": inputs,
    "scores": scores,
    "mistakes": mistakes,
    "why": why,
    "shortcuts": shortcuts,
    "calibration": calibration,
    "embeddings": embeddings,
    "data": data,
    "provenance": provenance,
}


def report(run: str | Path | Run, *, out: str | Path | None = None, language: Language = "en") -> Path:
    """Write a run's report as one HTML file that opens offline, in every language of the catalogue.

    Args:
        run: a run folder, finished or not, trained by Opsin or recorded in a person's own loop.
        out: the file to write; by default `report.html` in the run folder.
        language: the language in which it opens; a button in the page switches.

    Returns:
        The file's path.

    Raises:
        OpsinError: the folder holds no run, the language is not one of the catalogue's, or the file cannot be written.
    """
    run = run if isinstance(run, Run) else Run(run)
    target = run.path / "report.html" if out is None else Path(out)
    check_target(target, language)
    parts, views = make_parts(run), stored(Subject.of(run))
    if "flow" in views.views:
        parts["flow"] = Flow(views.live, views.why_not)
    return write_page(make_page(run.name, parts, stored=views), target, language)


def make_page(name: str, parts: Mapping[str, Any], title: str = "page.title", stored: Stored | None = None) -> Page:
    """A page of these parts, written now by this version; `title` is the kind of page, a key of the catalogue, `stored`
    what its views show."""
    written = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return Page(name, parts, __version__, written, title=title, stored=stored)


def check_target(target: Path, language: str) -> None:
    """See that a page can be written, before its parts are made.

    Raises:
        OpsinError: the language is not one of the catalogue's, or a folder lies where the file should.
    """
    if language not in LANGUAGES:
        raise OpsinError(f"language {language!r} was given; expected one of {', '.join(LANGUAGES)}")
    if target.is_dir():
        raise OpsinError(f"{target} is a folder; give the name of the file to write, such as {target / 'report.html'}")


def write_page(page: Page, target: Path, language: Language) -> Path:
    """Write a page as one HTML file; returns its path."""
    check_target(target, language)
    write_text(target, render(page, language))
    return target


def language_of(page: Path) -> Language:
    """The language in which a written page opens; English where there is none."""
    try:
        with page.open(encoding="utf-8") as file:
            head = file.read(200)
    except (OSError, UnicodeDecodeError):
        return "en"
    for language in LANGUAGES:
        if f'<html lang="{language}"' in head:
            return language
    return "en"


def make_parts(run: Run) -> dict[str, Any]:
    """Every part of the report by name: plain data, or a Missing that says why there is none."""
    material = Material(run)
    return {name: _made(make, material) for name, make in PARTS.items()}


def _made(make: Callable[[Material], Any], material: Material) -> Any:
    try:
        return make(material)
    except OpsinError as error:
        # One damaged file costs its own part; the others are still worth reading.
        return Missing(say("missing.damaged", why=str(error)), say("missing.damaged_remedy"))
