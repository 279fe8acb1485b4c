"""The one picture of a set of explanations."""

from __future__ import annotations

from pathlib import Path

from opsin.explanation.set_folder import ExplanationSet
from opsin.files import replacing
from opsin.reporting.pictures.grid import method_grid
from opsin.reporting.pictures.sheet import contact_sheet

SHEET = "sheet.png"
SHOWN, SHOWN_OF_SEVERAL = 48, 12


def write_sheet(found: ExplanationSet) -> Path:
    """Write `sheet.png` beside a set: some of its images, evenly spread, as a contact sheet, or as a grid where there
    are several methods; returns its path.

    Raises:
        OpsinError: the set holds no image, or one of those shown is gone.
    """
    if len(found.methods) == 1:
        picture = contact_sheet(found.explanation(found.methods[0], SHOWN), limit=SHOWN, total=found.count)
    else:
        picture = method_grid([found.explanation(method, SHOWN_OF_SEVERAL) for method in found.methods])
    with replacing(found.path / SHEET) as temporary:
        picture.save(temporary, "PNG")
    return found.path / SHEET
