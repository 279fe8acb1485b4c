"""What sheets and grids are made of: tiles with captions, colour bars, badges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw

from opsin.errors import OpsinError
from opsin.records import Explanation
from opsin.records.evidence import BETTER_THAN_RANDOM, FAILS_SANITY, NO_BETTER_THAN_RANDOM, VERDICTS
from opsin.reporting.figures.colours import diverging, sequential
from opsin.reporting.pictures.overlays import display_pixels, overlay
from opsin.reporting.pictures.text import BAD, GROUND, INK, SMALL, SOFT, class_label, shorten, width_of, write

SIDE = 224
"""A shown picture is at most so many pixels wide and high."""
NARROWEST = 144  # captions need some room
MARGIN, GAP = 24, 16  # around a sheet, and between its pictures
LINE = 17  # pixels from one line of small text to the next
FULL_COLOUR = 0.995
SCALE_NOTES = {
    "image": "full colour: what 99.5 % of each map lies under; the numbers are the range of each map",
    "column": "full colour: the highest of what 99.5 % of each map lies under; the numbers are the range of each map",
}
BAR, BAR_HEIGHT = 8, 8 + 4 + LINE

Scale = Literal["image", "column"]


@dataclass(frozen=True)
class Line:
    """One line of a caption."""

    text: str
    colour: str = SOFT
    keep_end: bool = False


def fitted(picture: Image.Image, side: int = SIDE) -> Image.Image:
    """A picture at the size at which it is shown: small ones in whole steps and pixelated, large ones shrunk."""
    largest = max(picture.size)
    if largest > side:
        size = (max(1, round(picture.width * side / largest)), max(1, round(picture.height * side / largest)))
        return picture.resize(size, Image.Resampling.LANCZOS)
    times = side // largest
    return picture.resize((picture.width * times, picture.height * times), Image.Resampling.NEAREST)


def shown_size(explanation: Explanation) -> tuple[int, int]:
    """Width and height of each of its pictures as they are shown."""
    height, width = explanation.maps.shape[1:]
    return fitted(Image.new("L", (width, height))).size


def is_signed(explanation: Explanation) -> bool:
    """Whether any of its maps has values below zero, so that all of them are drawn with the diverging colours."""
    return bool((explanation.maps < 0).any())


def highs(explanation: Explanation, scale: Scale) -> np.ndarray:
    """float32 `(n,)`: the value of the full colour, per image: the magnitude under which `FULL_COLOUR` of a map lies.
    One outlying pixel would make everything else invisible; where so much of a map is zero, its largest magnitude.

    Raises:
        OpsinError: there is no such scale.
    """
    if scale not in ("image", "column"):
        raise OpsinError(f"scale was given as {scale!r}; expected 'image' (each map's own) or 'column' (one for all)")
    sizes = np.abs(explanation.maps).reshape(len(explanation), -1)
    own = np.quantile(sizes, FULL_COLOUR, axis=1) if len(sizes) else np.zeros(0)
    own = np.where(own > 0, own, sizes.max(axis=1, initial=0))
    return own if scale == "image" else np.full_like(own, own.max(initial=0))


def drawn(explanation: Explanation, scale: Scale) -> list[Image.Image]:
    """The overlays as they are shown."""
    signed = is_signed(explanation)
    rows = zip(display_pixels(explanation), explanation.maps, highs(explanation, scale), strict=True)
    return [fitted(overlay(pixels, values, signed=signed, high=float(high))) for pixels, values, high in rows]


def range_text(explanation: Explanation, position: int) -> str:
    """The values of one map: `-0.12 to 0.34`, or `blank`."""
    values = explanation.maps[position]
    return f"{number(values.min())} to {number(values.max())}" if values.any() else "blank: zero everywhere"


def target_text(explanation: Explanation, position: int) -> str:
    """`cat 97.1 %`, or `cat rather than dog`."""
    name = class_label(explanation, int(explanation.targets[position]))
    if explanation.against is not None:
        return f"{name} rather than {class_label(explanation, int(explanation.against[position]))}"
    chances = explanation.probabilities
    return name if chances is None else f"{name} {100 * chances[position]:.1f} %"


def number(value: float) -> str:
    """Three significant digits, never `-0`."""
    text = f"{value:.3g}"
    return "0" if float(text) == 0 else text


def tile(picture: Image.Image, lines: Sequence[Line], width: int) -> Image.Image:
    """A picture with its caption below, `width` wide."""
    out = Image.new("RGB", (width, picture.height + 4 + LINE * len(lines)), GROUND)
    out.paste(picture, (0, 0))
    draw = ImageDraw.Draw(out)
    for row, line in enumerate(lines):
        text = shorten(line.text, width, SMALL, keep_end=line.keep_end)
        write(draw, (0, picture.height + 3 + row * LINE), text, SMALL, line.colour)
    return out


def colour_bar(explanation: Explanation, scale: Scale, width: int) -> Image.Image:
    """The colours from low to high with their numbers, `width` x `BAR_HEIGHT` pixels."""
    signed = is_signed(explanation)
    out = Image.new("RGB", (width, BAR_HEIGHT), GROUND)
    colours = (diverging() if signed else sequential())[np.linspace(0, 254, width).round().astype(int)]
    out.paste(Image.fromarray(np.broadcast_to(colours, (BAR, width, 3)).copy()), (0, 0))
    high = float(highs(explanation, scale).max(initial=0))
    # each map's own scale has no one number: the caption of each map says its range
    texts = ("-high of each", "high of each") if scale == "image" else (number(-high), number(high))
    low = texts[0] if signed else "0"
    draw = ImageDraw.Draw(out)
    write(draw, (0, BAR + 3), low, SMALL, SOFT)
    write(draw, (width - width_of(texts[1], SMALL), BAR + 3), texts[1], SMALL, SOFT)
    if signed:
        write(draw, ((width - width_of("0", SMALL)) / 2, BAR + 3), "0", SMALL, SOFT)
    return out


def badge(verdict: str, width: int) -> Image.Image:
    """A verdict as a sign and its words, `width` x `LINE` pixels.

    Raises:
        OpsinError: there is no such verdict.
    """
    if verdict not in VERDICTS:
        raise OpsinError(f"the verdict {verdict!r} is unknown; expected one of {', '.join(VERDICTS)}")
    colour = BAD if verdict == FAILS_SANITY else INK
    out = Image.new("RGB", (width, LINE), GROUND)
    mask = _sign(verdict)
    out.paste(Image.new("RGB", mask.size, colour), (0, 3), mask)
    write(ImageDraw.Draw(out), (17, 1), shorten(verdict, width - 17, SMALL), SMALL, colour)
    return out


def _sign(verdict: str, side: int = 11, times: int = 8) -> Image.Image:
    """Filled circle, hollow circle, cross or dotted ring; drawn larger and shrunk, because Pillow draws jagged."""
    large = side * times
    mask = Image.new("L", (large, large))
    draw = ImageDraw.Draw(mask)
    edge, thick = times // 2, times * 3 // 2
    box = (edge, edge, large - edge, large - edge)
    if verdict == BETTER_THAN_RANDOM:
        draw.ellipse(box, fill=255)
    elif verdict == NO_BETTER_THAN_RANDOM:
        draw.ellipse(box, outline=255, width=thick)
    elif verdict == FAILS_SANITY:
        draw.line((box[0], box[1], box[2], box[3]), fill=255, width=thick)
        draw.line((box[0], box[3], box[2], box[1]), fill=255, width=thick)
    else:
        middle, radius, dot = large / 2, large / 2 - times, thick * 0.55
        for turn in range(8):
            x, y = (middle + radius * part(turn * math.pi / 4) for part in (math.cos, math.sin))
            draw.ellipse((x - dot, y - dot, x + dot, y + dot), fill=255)
    return mask.resize((side, side), Image.Resampling.BOX)


def heading(lines: Sequence[tuple[str, int, str]], width: int) -> Image.Image:
    """Lines of text (text, size, colour), `width` wide."""
    out = Image.new("RGB", (width, sum(size + 6 for _, size, _ in lines)), GROUND)
    draw, top = ImageDraw.Draw(out), 0
    for text, size, colour in lines:
        write(draw, (0, top), shorten(text, width, size), size, colour)
        top += size + 6
    return out


def method_line(explanation: Explanation) -> str:
    """`grad_cam at layer4`."""
    return f"{explanation.method} at {explanation.layer}" if explanation.layer else explanation.method
