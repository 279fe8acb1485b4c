"""Curves over steps, curves in the unit square, reliability diagrams and sparklines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from opsin.reporting.figures.colours import hex_of
from opsin.reporting.figures.svg import Axis, around, element, path
from opsin.reporting.parts.curves import Flag, Line, Panel

LEFT, RIGHT, TOP, BOTTOM = 46, 10, 8, 24  # around the plotting area, in user units, which are CSS pixels
ROLE_COLOURS = {
    "train": "var(--train)",
    "validation": "var(--validation)",
    "step": "var(--faint)",
    "plain": "var(--ink)",
}
CONTROL_COLOURS = {
    "explanation": "var(--accent)",
    "random": "var(--soft)",
    "edge": "var(--gap)",
    "spearman": "var(--train)",
    "ssim": "var(--validation)",
}


@dataclass(frozen=True)
class Frame:
    """The plotting area of a figure of `width` x `height` user units."""

    width: int
    height: int
    x: Axis
    y: Axis

    @property
    def span(self) -> tuple[int, int]:
        """Width and height of the plotting area."""
        return self.width - LEFT - RIGHT, self.height - TOP - BOTTOM

    def across(self, values: np.ndarray) -> np.ndarray:
        """Horizontal positions."""
        return LEFT + self.x.place(np.asarray(values, np.float64)) * self.span[0]

    def down(self, values: np.ndarray) -> np.ndarray:
        """Vertical positions."""
        return TOP + (1 - self.y.place(np.asarray(values, np.float64))) * self.span[1]

    def axes(self) -> Markup:
        """Grid lines and their numbers."""
        parts = []
        for value, text in self.y.ticks(5):
            at = float(self.down(np.array(value)))
            parts.append(element("path", class_="grid", d=f"M{LEFT} {at:.1f}h{self.span[0]}"))
            parts.append(element("text", text, class_="tick", x=LEFT - 6, y=f"{at + 4:.1f}", text_anchor="end"))
        for value, text in self.x.ticks(5):
            at = float(self.across(np.array(value)))
            anchor = "end" if at > self.width - RIGHT - 12 else "middle"
            parts.append(element("text", text, class_="tick", x=f"{at:.1f}", y=self.height - 6, text_anchor=anchor))
        return Markup("").join(parts)

    def draw(self, *parts: Markup | Iterable[Markup], label: Markup, kind: str = "") -> Markup:
        """The figure: the axes below, then the parts. `label` holds the attributes that name it."""
        inside = Markup("").join(part if isinstance(part, Markup) else Markup("").join(part) for part in parts)
        return Markup('<svg class="chart {}" viewBox="0 0 {} {}" role="img" {}>{}{}</svg>').format(
            kind, self.width, self.height, label, self.axes(), inside
        )


def colour(line: Line) -> str:
    """The colour of a line: by its role, or by its depth in the network."""
    return hex_of(line.depth) if line.role == "layer" else ROLE_COLOURS[line.role]


def panel_chart(panel: Panel, last: int, flags: Sequence[Flag], label: Markup, width: int = 520) -> Markup:
    """Lines over steps 0..last, the usual range as a band, flags on the axis."""
    values = np.concatenate([line.points[:, 1] for line in panel.lines])
    if panel.band is not None:
        values = np.append(values, panel.band)
    y = around(values, log=panel.scale == "log", share=panel.scale == "share", zero=panel.scale == "linear")
    frame = Frame(width, 210, Axis(0, max(last, 1)), y)
    return frame.draw(
        _band(frame, panel.band),
        (_stroke(frame, line.points, colour(line), "thin" if line.role == "step" else "") for line in panel.lines),
        _flags(frame, flags),
        label=label,
    )


def unit_chart(lines: Sequence[tuple[np.ndarray, str]], label: Markup, diagonal: bool) -> Markup:
    """Curves of `(points, 2)` in the unit square, each with its colour; with the line of chance where asked for."""
    frame = Frame(300, 280, Axis(0, 1), Axis(0, 1))
    chance = _line(frame, np.array([[0, 0], [1, 1]]), "chance") if diagonal else Markup("")
    return frame.draw(chance, (_stroke(frame, points, tint) for points, tint in lines), label=label, kind="square")


def plain_chart(points: np.ndarray, label: Markup, *, share: bool = False) -> Markup:
    """One line of `(points, 2)`."""
    x = Axis(float(points[:, 0].min()), float(points[:, 0].max()))
    frame = Frame(300, 280, x, around(points[:, 1], share=share, zero=True))
    return frame.draw(_stroke(frame, points, "var(--ink)"), label=label, kind="square")


def control_chart(points: np.ndarray, columns: Sequence[str], label: Markup) -> Markup:
    """Curves over a share 0..1, `(points, 1 + columns)`: an explanation's beside those of its controls."""
    frame = Frame(300, 200, Axis(0, 1, share=True), around(points[:, 1:], zero=True))
    lines = [(column, points[:, [0, at]]) for at, column in enumerate(columns, 1)]
    # the explanation's own line lies on top
    strokes = [_stroke(frame, line, CONTROL_COLOURS[column]) for column, line in reversed(lines)]
    return frame.draw(strokes, label=label, kind="square")


def reliability_chart(bins: np.ndarray, label: Markup) -> Markup:
    """Accuracy per bin of confidence as bars, the gap to the confidence in orange, and how many images each bin has as
    a strip below: darker is more."""
    frame = Frame(300, 280, Axis(0, 1), Axis(0, 1))
    width = frame.span[0] / len(bins)
    most = max(float(bins[:, 2].max()), 1.0)
    bars = []
    for position, (confidence, accuracy, count) in enumerate(bins):
        if not count:
            continue
        left = LEFT + position * width + 1
        ends = sorted(float(frame.down(np.array(value))) for value in (confidence, accuracy))
        top, floor = float(frame.down(np.array(accuracy))), TOP + frame.span[1]
        bars.append(_bar("accuracy", left, top, width - 2, floor - top))
        bars.append(_bar("gap", left, ends[0], width - 2, max(ends[1] - ends[0], 1)))
        share = float(np.sqrt(count / most))
        bars.append(_bar("count", left, floor + 1, width - 2, 4, style=f"opacity:{0.15 + 0.85 * share:.2f}"))
    chance = _line(frame, np.array([[0, 0], [1, 1]]), "chance")
    return frame.draw(bars, chance, label=label, kind="square")


def sparkline(values: np.ndarray, most: float) -> Markup:
    """A tiny line from 0 to `most`, without axes: the numbers stand beside it."""
    x = np.linspace(2, 94, len(values)) if len(values) > 1 else np.array([48.0])
    y = 22 - 20 * np.clip(values / (most or 1.0), 0, 1)
    line = element("path", class_="line", d=path(x, y), style="stroke:var(--ink)")
    return Markup('<svg class="spark" viewBox="0 0 96 24" aria-hidden="true">{}</svg>').format(line)


def _stroke(frame: Frame, points: np.ndarray, tint: str, kind: str = "") -> Markup:
    data = path(frame.across(points[:, 0]), frame.down(points[:, 1]))
    return element("path", class_=f"line {kind}".strip(), d=data, style=f"stroke:{tint}")


def _line(frame: Frame, points: np.ndarray, kind: str) -> Markup:
    return element("path", class_=kind, d=path(frame.across(points[:, 0]), frame.down(points[:, 1])))


def _bar(kind: str, left: float, top: float, width: float, height: float, style: str | None = None) -> Markup:
    size = {"x": left, "y": top, "width": max(width, 1), "height": max(height, 0)}
    return element("rect", class_=kind, style=style, **{name: f"{value:.1f}" for name, value in size.items()})


def _band(frame: Frame, band: tuple[float, float] | None) -> Markup:
    if band is None:
        return Markup("")
    floor, top = (float(frame.down(np.array(value))) for value in band)
    if band[0] == band[1]:
        return element("path", class_="chance", d=f"M{LEFT} {top:.1f}h{frame.span[0]}")
    return _bar("band", LEFT, top, frame.span[0], max(floor - top, 1))


def _flags(frame: Frame, flags: Sequence[Flag]) -> Markup:
    floor = TOP + frame.span[1]
    places: dict[int, bool] = {}
    for flag in flags:
        places[flag.step] = places.get(flag.step, False) or flag.grave
    return Markup("").join(
        element("path", class_=f"flag {'grave' if grave else ''}".strip(),
                d=f"M{float(frame.across(np.array(step))):.1f} {floor}l-4 -8h8z")
        for step, grave in places.items()
    )  # fmt: skip
