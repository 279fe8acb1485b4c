"""Parts become the HTML file: every text in all languages, every drawing inline, nothing fetched."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from opsin.reporting.built import script
from opsin.reporting.figures import charts, images, maps, scatter
from opsin.reporting.parts.film import Film
from opsin.reporting.parts.material import Missing
from opsin.reporting.texts import LANGUAGES, Catalogue, Language, Text, packaged
from opsin.reporting.views.stored import Stored

SECTIONS = (
    "summary", "flow", "curves", "film", "filters", "inputs", "scores", "mistakes", "why", "shortcuts", "calibration",
    "embeddings", "data", "provenance",
)  # fmt: skip


@dataclass(frozen=True)
class Page:
    """What the HTML file shows.

    Attributes:
        name: what it is about, such as the run's name.
        parts: by section; shown in the order of `SECTIONS`.
        version, written: who wrote it and when.
        title: the kind of page, a key of the catalogue.
        stored: what its views show; None: it has none.
    """

    name: str
    parts: Mapping[str, Any]
    version: str
    written: str
    catalogue: Catalogue = field(default_factory=packaged)
    title: str = "page.title"
    stored: Stored | None = None


def render(page: Page, language: Language) -> str:
    """The whole file; it opens in `language`, and holds the others too."""
    writer = _Writer(page.catalogue, language)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("opsin.reporting", "page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["missing"] = lambda part: isinstance(part, Missing)
    environment.globals |= {
        "t": writer.text,
        "attribute": writer.attribute,
        "user": user,
        "number": number,
        "fixed": fixed,
        "shows": lambda view: _shows(page, view),
        "charts": charts,
        "images": images,
        "in_base64": in_base64,
        "maps": maps,
        "scatter": scatter,
    }
    style, switches = (
        files("opsin.reporting.page").joinpath(name).read_text("utf-8") for name in ("style.css", "script.js")
    )
    views = None if page.stored is None else script("report.js")
    # the film's view holds the curves, too
    living = _shows(page, "film") and isinstance(page.parts.get("film"), Film)
    return environment.get_template("page.html").render(
        page=page,
        parts=page.parts,
        sections=[name for name in SECTIONS if name in page.parts and not (living and name == "curves")],
        living=living,
        language=language,
        style=Markup(style),
        scripts=[Markup(text) for text in (switches, views) if text is not None],
        hashes=[digest(text) for text in (switches, views) if text is not None],
        carried=None if page.stored is None else carried(page.stored),
        catalogue=page.catalogue,
    )


def _shows(page: Page, view: str) -> bool:
    """Whether a view takes its place in the page."""
    return page.stored is not None and view in page.stored.views


class _Writer:
    """Texts as HTML: every language is in the page, and the style sheet shows one."""

    def __init__(self, catalogue: Catalogue, language: Language) -> None:
        self._catalogue, self._language = catalogue, language

    def text(self, text: Text | str, /, **values: Any) -> Markup:
        """A Text, or a key of the catalogue with its values."""
        text = text if isinstance(text, Text) else Text(text, values)
        return Markup("").join(
            Markup('<span lang="{}">{}</span>').format(language, self._catalogue.lower(text, language))
            for language in LANGUAGES
        )

    def attribute(self, name: str, text: Text | str, /, **values: Any) -> Markup:
        """An attribute in the opening language, with all languages beside it for the script to choose from."""
        text = text if isinstance(text, Text) else Text(text, values)
        lowered = {language: self._catalogue.lower(text, language) for language in LANGUAGES}
        others = (Markup(' data-{}-{}="{}"').format(name, key.lower(), value) for key, value in lowered.items())
        return Markup('{}="{}"').format(Markup(name), lowered[self._language]) + Markup("").join(others)


def user(value: object) -> Markup:
    """Something that is not ours to translate: a class, a file, a layer, a recorded message."""
    return Markup('<span translate="no">{}</span>').format(value)


def number(value: float) -> str:
    """A number in three or four significant figures."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def fixed(value: float, sign: str = "", digits: int = 3) -> str:
    """A number with so many decimals, never `-0.000`; with `sign` "+" its sign is always written."""
    return format(round(value, digits) + 0.0, f"{sign}.{digits}f")


def digest(script: str) -> str:
    """What the page's policy allows: a script of just these characters."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def carried(stored: Stored) -> Markup:
    """What the views' script reads first, as JSON that cannot end its own element."""
    values = {
        "chunks": [{"id": chunk.id, "keys": chunk.keys} for chunk in stored.chunks],
        "groups": stored.groups,
        "image": stored.image,
        "explained": stored.explained,
    }
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def in_base64(data: bytes) -> str:
    """Bytes as text."""
    return base64.b64encode(data).decode("ascii")
