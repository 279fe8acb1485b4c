"""What the report says, in every language: one catalogue, and texts that name an entry of it."""

from __future__ import annotations

import string
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal

Language = Literal["en", "zh-CN"]
LANGUAGES: tuple[Language, ...] = ("en", "zh-CN")
_LIST_MARKS: dict[Language, str] = {"en": ", ", "zh-CN": "、"}
_PERCENT_MARKS: dict[Language, str] = {"en": "\u202f%", "zh-CN": "%"}


@dataclass(frozen=True)
class Text:
    """A sentence or a label: a key of the catalogue with the values that fill it.

    Values are numbers, strings (data, such as class names: never translated), other Texts, or tuples of these, which
    are joined by the language's list mark.
    """

    key: str
    values: Mapping[str, Any] = field(default_factory=dict, hash=False)


def say(key: str, /, **values: Any) -> Text:
    """A Text."""
    return Text(key, values)


class Catalogue:
    """All texts, by key and language. `{name:spec}` in an entry is filled as by `str.format`, with two more specs:
    `.1%` is written as the language writes shares, and `#image|images` chooses a word by a number."""

    def __init__(self, entries: Mapping[str, Mapping[str, str]]) -> None:
        self.entries = entries
        self._formatters = {language: _Formatter(self, language) for language in LANGUAGES}

    def lower(self, text: Text | str, language: Language) -> str:
        """Plain text in a language; a string is a key without values.

        Raises:
            KeyError: no such key, or a value is missing: a mistake in this package.
        """
        text = Text(text) if isinstance(text, str) else text
        return self._formatters[language].vformat(self.entries[text.key][language], (), text.values)


@cache
def packaged() -> Catalogue:
    """The catalogue of this package, `texts.toml`."""
    tables = tomllib.loads(files("opsin.reporting").joinpath("texts.toml").read_text(encoding="utf-8"))
    return Catalogue(dict(_flat(tables)))


def _flat(tables: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, str]]]:
    for section, entries in tables.items():
        for name, texts in entries.items():
            yield f"{section}.{name}", texts


class _Formatter(string.Formatter):
    def __init__(self, catalogue: Catalogue, language: Language) -> None:
        self._catalogue = catalogue
        self._language: Language = language

    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, Text):
            return self._catalogue.lower(value, self._language)
        if isinstance(value, tuple | list):
            return _LIST_MARKS[self._language].join(self.format_field(item, format_spec) for item in value)
        if format_spec.startswith("#"):
            one, _, many = format_spec[1:].partition("|")
            return one if value == 1 else many
        if format_spec.endswith("%"):
            return format(value, format_spec).removesuffix("%") + _PERCENT_MARKS[self._language]
        return format(value, format_spec)
