"""Ten digits as a person would draw them, as lines in a unit square, and how to draw them in the flow view.

Used by the benchmark of the views: on the demonstration's network at least 27 of 30 (three pens) have to be read right.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

Line = list[tuple[float, float]]
PENS = ("thin", "usual", "thick")


def arc(x: float, y: float, across: float, down: float, first: float, last: float) -> Line:
    """Points of a part of an ellipse, from one angle in degrees to another; 0 is right, 90 is down."""
    angles = [math.radians(first + (last - first) * step / 24) for step in range(25)]
    return [(x + across * math.cos(angle), y + down * math.sin(angle)) for angle in angles]


DIGITS: dict[int, list[Line]] = {
    0: [arc(0.5, 0.5, 0.2, 0.32, -90, 270)],
    1: [[(0.52, 0.18), (0.48, 0.82)]],
    2: [[*arc(0.5, 0.36, 0.18, 0.17, -170, 20), (0.62, 0.5), (0.32, 0.8)], [(0.32, 0.8), (0.7, 0.8)]],
    3: [[*arc(0.47, 0.34, 0.17, 0.15, -160, 80), *arc(0.48, 0.65, 0.2, 0.17, -80, 160)]],
    4: [[(0.38, 0.18), (0.3, 0.54), (0.72, 0.54)], [(0.64, 0.2), (0.6, 0.85)]],
    5: [[(0.68, 0.2), (0.38, 0.2), (0.36, 0.47), *arc(0.48, 0.62, 0.19, 0.18, -110, 150)]],
    6: [[(0.62, 0.17), (0.46, 0.33), (0.36, 0.55), *arc(0.5, 0.65, 0.15, 0.16, 180, -180)]],
    7: [[(0.3, 0.22), (0.7, 0.22), (0.46, 0.82)]],
    8: [arc(0.5, 0.34, 0.14, 0.15, 90, 450), arc(0.5, 0.66, 0.17, 0.17, -90, 270)],
    9: [[*arc(0.49, 0.36, 0.15, 0.16, 0, -360), (0.64, 0.36), (0.62, 0.6), (0.56, 0.84)]],
}


def draw(page: Page, digit: int, pen: str) -> None:
    """Draw a digit with the mouse, in an English page, after clearing what was drawn before.

    Args:
        page: shows the flow view.
        digit: 0 to 9.
        pen: one of PENS.
    """
    clear = page.locator(".again button", has_text="Clear")
    if clear.is_enabled():
        clear.click()
    page.get_by_role("button", name=f"{pen.capitalize()} pen").click()
    paper = page.locator(".paper").bounding_box()
    assert paper is not None
    for line in DIGITS[digit]:
        places = [(paper["x"] + x * paper["width"], paper["y"] + y * paper["height"]) for x, y in line]
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place)
        page.mouse.up()
