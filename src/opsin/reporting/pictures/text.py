"""Text on pictures, in whatever script the system has a font for."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import PurePath

from PIL import Image, ImageDraw, ImageFont

from opsin.records import Explanation

GROUND, INK, SOFT, FAINT, ACCENT, BAD = "#131216", "#e8e6ec", "#a29eab", "#5d5966", "#c4a2f0", "#f2928b"
"""The dark theme of the report's page."""

TITLE, BODY, SMALL = 16, 14, 12

# Pillow looks a bare file name up in the font folders of Linux, macOS and Windows. The number is the face in a .ttc.
_SYSTEM_FONTS = (
    ("NotoSans-Regular.ttf", 0), ("DejaVuSans.ttf", 0), ("LiberationSans-Regular.ttf", 0), ("segoeui.ttf", 0),
    ("Arial.ttf", 0), ("arial.ttf", 0),
    ("NotoSansCJK-Regular.ttc", 2), ("NotoSansCJKsc-Regular.otf", 0), ("NotoSansSC-Regular.otf", 0),
    ("NotoSansSC-Regular.ttf", 0), ("SourceHanSansSC-Regular.otf", 0), ("SourceHanSansCN-Regular.otf", 0),
    ("wqy-microhei.ttc", 0), ("wqy-zenhei.ttc", 0), ("DroidSansFallbackFull.ttf", 0), ("DroidSansFallback.ttf", 0),
    ("PingFang.ttc", 0), ("Hiragino Sans GB.ttc", 0), ("STHeiti Medium.ttc", 0), ("STHeiti Light.ttc", 0),
    ("Arial Unicode.ttf", 0), ("msyh.ttc", 0), ("msyh.ttf", 0), ("Deng.ttf", 0), ("simhei.ttf", 0), ("simsun.ttc", 0),
    ("YuGothM.ttc", 0), ("meiryo.ttc", 0), ("msjh.ttc", 0), ("malgun.ttf", 0),
)  # fmt: skip
Font = ImageFont.FreeTypeFont


def find_font(text: str, size: int) -> Font | None:
    """A font that has every character of a text, or None. Pillow's own comes first: it is the same everywhere."""
    fonts = (_font(at, size) for at in range(-1, len(_SYSTEM_FONTS)) if all(_has(at, sign) for sign in set(text)))
    return next((font for font in fonts if font is not None), None)


def width_of(text: str, size: int) -> float:
    """Pixels that a text takes up."""
    return _required(text, size).getlength(text)


def shorten(text: str, width: float, size: int, *, keep_end: bool = False) -> str:
    """The text, or as much of its beginning (or its end) as fits into `width` pixels, with an ellipsis."""
    if width_of(text, size) <= width:
        return text
    for kept in range(len(text) - 1, 0, -1):
        short = "…" + text[-kept:] if keep_end else text[:kept].rstrip() + "…"
        if width_of(short, size) <= width:
            return short
    return "…"


def write(draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, size: int, colour: str = INK) -> float:
    """Draw a text with its top left at `place`; returns where it ends."""
    font = _required(text, size)
    # on one baseline whatever the font: a Chinese one stands higher
    draw.text((place[0], place[1] + size), text, colour, font, anchor="ls")
    return place[0] + font.getlength(text)


def class_label(explanation: Explanation, index: int) -> str:
    """A class by its name, or by its index where it has none or no font can draw it."""
    name = " ".join(explanation.classes[index].split()) if index < len(explanation.classes) else ""
    return name if name and find_font(name, BODY) else f"class {index}"


def image_label(name: str, position: int) -> str:
    """An image's file name, or its number where no font can draw that."""
    short = PurePath(name).name or name
    return short if find_font(short, SMALL) else f"image {position}"


def undrawn(explanation: Explanation) -> str:
    """A note on the shown classes whose names no font can draw, or an empty text."""
    indices = set(explanation.targets.tolist())
    if explanation.against is not None:
        indices |= set(explanation.against.tolist())
    lost = [i for i in indices if i < len(explanation.classes) and class_label(explanation, i) == f"class {i}"]
    lost = [i for i in lost if explanation.classes[i] != f"class {i}"]
    if not lost:
        return ""
    return f"{len(lost)} class names need a font that this system lacks and are shown by index (Noto Sans CJK has most)"


def _required(text: str, size: int) -> Font:
    """A font for a text, whatever it holds: characters that no font has become boxes."""
    return find_font(text, size) or _own(size)


@cache
def _own(size: int) -> Font:
    return ImageFont.load_default(size)  # type: ignore[return-value]


@lru_cache(512)
def _font(at: int, size: int) -> Font | None:
    if at < 0:
        return _own(size)
    name, face = _SYSTEM_FONTS[at]
    try:
        return ImageFont.truetype(name, size, index=face, layout_engine=ImageFont.Layout.BASIC)
    except OSError:
        return None


@cache
def _has(at: int, sign: str) -> bool:
    font = _font(at, BODY)
    # what a font lacks is drawn as its box for missing signs; no font has the noncharacter
    return font is not None and (sign == " " or _drawing(font, sign) != _drawing(font, "\U0010fffe"))


def _drawing(font: Font, sign: str) -> bytes:
    out = Image.new("L", (2 * BODY, 2 * BODY))
    ImageDraw.Draw(out).text((0, 0), sign, 255, font)
    return out.tobytes()
