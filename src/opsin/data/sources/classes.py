"""Labels of any type as class names, and names that only look different."""

from __future__ import annotations

import math
import os
import unicodedata
from collections.abc import Iterable
from typing import Any

import numpy as np

from opsin.errors import OpsinError


def class_names(raw: Iterable[str], where: str) -> dict[str, str]:
    """The class name of each text in `raw`: in Unicode's composed form (NFC), without blanks at its ends.

    Args:
        raw: texts as the source has them; repeated ones count once.
        where: what to call the source in an error.

    Raises:
        OpsinError: a name is empty, or two become equal when case, blanks at the ends and the way in which Unicode
            writes a letter are left aside: one of them is most likely a slip.
    """
    names: dict[str, str] = {}
    seen: dict[str, str] = {}
    for text in dict.fromkeys(raw):
        name = unicodedata.normalize("NFC", text).strip()
        if not name:
            raise OpsinError(f"{where} has a class without a name ({text!r}); give it one")
        same = seen.setdefault(unicodedata.normalize("NFC", name.casefold()), text)
        if same != text:
            # letters that are composed differently look the same when printed
            show = ascii if unicodedata.normalize("NFC", same) == unicodedata.normalize("NFC", text) else repr
            raise OpsinError(
                f"{where} has the classes {show(same)} and {show(text)}, which are equal but for case, blanks or the "
                "way Unicode writes them; make them one, or rename one"
            )
        names[text] = name
    return names


def label_text(value: Any) -> str:
    """A label of any type as text: 3, 3.0 and "3" are the same class, None and NaN are empty."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def file_text(name: str) -> str:
    """A file's name as text that can be stored: bytes that are no UTF-8 become such as `\\xe9`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
