"""What a test sees of a page: whether something is drawn, what is chosen, and waiting for it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from tests.conftest import missing

try:
    from playwright.sync_api import expect
except ImportError:  # the fixture `browser` says so
    expect = None

PATIENCE = 30.0  # seconds for anything to come on a busy machine

# The views in the order of their keys, and what there is in each of them only.
LANDMARKS = {
    "flow": ".graph canvas", "film": "figure.now canvas", "why": ".why .map canvas", "space": ".cloud canvas",
    "classes": "table.matrix", "compare": ".kinds", "maps": "section.maps canvas", "filters": "section.filters canvas",
    "channel": "section.channel canvas",
}  # fmt: skip

_PIXELS = """canvas => {
  const { width, height } = canvas;
  if (!width || !height) return { width, height, colours: 0, digest: "" };
  const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const words = new Uint32Array(copy.getImageData(0, 0, width, height).data.buffer);
  let digest = 2166136261;
  for (const word of words) digest = Math.imul(digest ^ word, 16777619);
  return { width, height, colours: new Set(words).size, digest: String(digest) };
}"""


class Picture(NamedTuple):
    """What a canvas shows: its size in pixels, how many colours, and a hash over all of them."""

    width: int
    height: int
    colours: int
    digest: str


def picture(canvas: Any) -> Picture:
    """What a canvas shows now."""
    return Picture(**canvas.evaluate(_PIXELS))


def drawn(canvas: Any) -> Picture:
    """What a canvas shows once it is not of one colour."""
    return until(canvas.page, lambda: (found := picture(canvas)).colours > 1 and found, "a canvas stays blank")


def changed(canvas: Any, before: Picture) -> Picture:
    """What a canvas shows once it shows something else."""
    return until(canvas.page, lambda: (found := drawn(canvas)) != before and found, "a canvas stays as it was")


def until(page: Any, found: Callable[[], Any], what: str) -> Any:
    """The first value that is true."""
    end = time.monotonic() + PATIENCE
    while not (value := found()):
        assert time.monotonic() < end, what
        page.wait_for_timeout(30)
    return value


def chosen(page: Any) -> dict[str, str]:
    """What is chosen, as the studio's address says."""
    return {name: values[0] for name, values in parse_qs(page.url.partition("#")[2]).items()}


def until_other(page: Any, name: str, before: str | None = None) -> str:
    """The new value of something that is chosen, once it is another one."""

    def other() -> str | None:
        value = chosen(page).get(name)
        return value if value != before else None

    return until(page, other, f"{name} stays {before}")


def until_chosen(page: Any, **wanted: object) -> None:
    """Wait until the address says that these are chosen; None: not any more."""
    texts = {name: None if value is None else str(value) for name, value in wanted.items()}

    def is_so() -> bool:
        found = chosen(page)
        return all(found.get(name) == text for name, text in texts.items())

    until(page, is_so, f"{texts} is not chosen")


def tile(page: Any, layer: str) -> Any:
    """A layer's tile in the flow view's graph."""
    return page.locator(f'.graph button.tile[data-layer="{layer}"]')


def stroke(page: Any, x: float, y: float, to_x: float, to_y: float, steps: int = 8) -> None:
    """One stroke of the mouse."""
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(to_x, to_y, steps=steps)
    page.mouse.up()


# Everything that a person reads or is read out, also what stands in trees of their own; not paths and names.
_SAID = """root => {
  const found = [];
  const walk = (node) => {
    if (node.nodeType === Node.TEXT_NODE && node.data.trim()) found.push(node.data.trim().replace(/\\s+/g, " "));
    if (node.nodeType !== Node.ELEMENT_NODE || node.matches("script, style, noscript, code, [translate=no]")) return;
    if (!node.matches("option, optgroup") && !node.checkVisibility()) return;
    for (const name of ["aria-label", "title", "placeholder"]) {
      if (node.getAttribute(name)) found.push(node.getAttribute(name));
    }
    for (const child of (node.shadowRoot ?? node).childNodes) walk(child);
  };
  walk(root);
  return found;
}"""


def said(place: Any) -> list[str]:
    """The texts of a part of a page, and the names of its controls."""
    return place.evaluate(_SAID)


def settled(place: Any) -> None:
    """Wait until nothing of a view is awaited."""
    place.locator("section").first.wait_for()
    until(place.page, lambda: place.locator(".waiting").count() == 0, "something is awaited for ever")


AXE = Path(__file__).parents[2] / "web/node_modules/axe-core/axe.min.js"
GRAVE = ("serious", "critical")  # what a person cannot get past, or not see


def check_access(page: Any, part: str = "document") -> None:
    """Nothing grave stands in anybody's way; put in through the debugger, past the pages' strict policies."""
    if not AXE.is_file():
        missing("axe-core (npm ci in web/)")
    page.evaluate(AXE.read_text("utf-8") + "; 0")
    found = page.evaluate(f"axe.run({part}, {{ resultTypes: ['violations'] }})")
    assert found["passes"]
    grave = {
        item["id"]: [node["html"][:200] for node in item["nodes"][:5]]
        for item in found["violations"]
        if item["impact"] in GRAVE
    }
    assert grave == {}, json.dumps(grave, indent=1, ensure_ascii=False)
