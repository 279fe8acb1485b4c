"""The views in a real browser: sizes of what is shipped, first paint, a drawn digit, the film, ResNet-18, the cloud.

Usage: python bench/web.py [--rounds 5] [--only sizes paint drawing digits film photograph report]

Needs Debian's Chromium; `make web` builds what is measured. Times are of this machine, each beside its goal, which is a
limit of patience and no comparison.
"""

from __future__ import annotations

import gzip
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright

import opsin
from drawn import DIGITS, PENS, draw
from measure import run_parts
from opsin.reporting.views import wire
from opsin.reporting.views.questions import answer
from opsin.reporting.views.subject import Subject
from opsin.training.view import Quiet

ROOT = Path(__file__).parent.parent
STATIC = ROOT / "src" / "opsin" / "reporting" / "static"
VIEWS = ("flow", "film", "why", "space", "classes", "compare", "maps", "filters", "channel")


def most(what: str, figure: float, goal: float | None) -> dict[str, Any]:
    """A figure that should be at most its goal; `what` is a key of the words in `tables.py`."""
    return {"what": what, "figure": figure, "goal": goal, "bound": "at most"}


def gzipped(data: bytes) -> int:
    """Bytes after gzip, as servers send them."""
    return len(gzip.compress(data, 9))


def sizes(_rounds: int) -> list[dict[str, Any]]:
    """Every view with all that its page has to load for it, the notebook's file and the wheel."""
    rows = [
        {**most("view", gzipped(_everything(view)) / 1000, 150), "view": view} for view in VIEWS
    ]  # fmt: skip
    rows.append(most("widget", (STATIC / "widget.js").stat().st_size / 1000, 1500))
    rows.append(most("runtime", (STATIC / "report.js").stat().st_size / 1000, None))
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "-q", "-w", folder, str(ROOT)]
        subprocess.run(command, check=True)
        wheel = next(Path(folder).glob("*.whl"))
        rows.append(most("wheel", wheel.stat().st_size / 1000, 5000))
    return rows


def _everything(view: str) -> bytes:
    """The studio's script and style with those of a view, and all that these import."""
    assets = STATIC / "assets"
    start = [path for path in assets.iterdir() if path.name.startswith(("studio-", f"{view}-"))]
    found: dict[str, bytes] = {}
    waiting = [path for path in start if path.suffix in (".js", ".css")]
    while waiting:
        path = waiting.pop()
        if path.name in found:
            continue
        found[path.name] = path.read_bytes()
        if path.suffix != ".js" or path.name.startswith("studio-"):
            continue  # the frame names every view, and loads the one that is looked at
        names = re.findall(rb'(?:from|import)\s*"\./([\w.-]+\.js)"', found[path.name])
        waiting += [assets / name.decode() for name in names]
    return b"".join(found.values())


@contextmanager
def studio(what: Path | str) -> Iterator[str]:
    """A studio in a process of its own; gives its address."""
    command = [str(Path(sys.executable).with_name("opsin")), "studio", str(what), "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip().split()[-1]
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def page_of(address: str, **settings: Any) -> Iterator[Page]:
    """A page of headless Chromium that has loaded an address."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800}, **settings)
        page.goto(address)
        yield page
        browser.close()


@contextmanager
def digits_run(snapshots: int = 0) -> Iterator[Path]:
    """A folder with a short training on real digits, with at least so many snapshots."""
    with tempfile.TemporaryDirectory() as folder:
        every = 20 if snapshots < 100 else 1
        recipe = opsin.Recipe(epochs=4 if snapshots >= 100 else 2, record_every=every, batch_size=64)
        opsin.train("seed_cnn", "mnist5k", recipe, out=Path(folder) / "digits", view=Quiet())
        yield Path(folder)


def paint(rounds: int) -> list[dict[str, Any]]:
    """From opening the address to the first contentful paint, and until the flow shows its layers."""
    with digits_run() as folder, studio(folder) as address:
        found, whole = [], []
        for turn in range(rounds + 1):
            # the address with its token works once; the cookie is a browser's own, so each round has a new one
            with page_of("about:blank") as page:
                began = time.perf_counter()
                page.goto(address)
                page.wait_for_selector("[data-layer]")
                complete = 1000 * (time.perf_counter() - began)
                first = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
            if turn:  # the first opens the network
                found.append(first)
                whole.append(complete)
            print(f"  round {turn}/{rounds}  first paint {first:8.0f} ms  layers {complete:8.0f} ms", flush=True)
    return [
        {**most("paint", statistics.median(found), 1500), "rounds": found},
        {**most("layers", statistics.median(whole), None), "rounds": whole},
    ]


WATCH = """() => {
  const layers = () => [...document.querySelectorAll('[data-layer]')];
  const pictures = () => layers().map((layer) => layer.querySelector('canvas')?.toDataURL());
  window.answered = new Promise((done) => {
    const before = pictures();
    const began = performance.now();
    const look = () => {
      const now = pictures();
      const changed = now.filter((picture, at) => picture && picture !== before[at]).length;
      const spent = performance.now() - began;
      if (changed === now.filter(Boolean).length || spent > 5000) done([spent, changed, now.filter(Boolean).length]);
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
}"""


def drawing(rounds: int) -> list[dict[str, Any]]:
    """From the end of a stroke until every layer's maps are those of the drawing.

    The time is that of the last stroke alone: what was drawn before it is on the screen already.
    """
    with digits_run() as folder, studio(folder) as address, page_of(address) as page:
        page.wait_for_selector("[data-layer] canvas")
        page.keyboard.press("Escape")
        found = []
        for turn in range(rounds + 1):
            draw(page, turn % 10, "usual")
            page.wait_for_timeout(1000)
            box = page.locator(".paper").bounding_box()
            assert box is not None
            page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 0.25 * box["height"])
            page.mouse.down()
            page.evaluate(WATCH)
            page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 0.8 * box["height"], steps=4)
            page.mouse.up()
            spent, changed, count = page.evaluate("window.answered")
            if turn:
                found.append(spent)
            print(f"  round {turn}/{rounds}  {spent:8.0f} ms  {changed} of {count} layers drawn anew", flush=True)
    return [{**most("stroke", statistics.median(found), 150), "rounds": found}]


BEST = "() => document.querySelector('section[aria-label=\"Answer\"] .top .name').textContent.trim().split(/\\s/)[0]"


def digits(_rounds: int) -> list[dict[str, Any]]:
    """Ten digits drawn with three pens, answered by the network of `opsin demo digits`."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            str(Path(sys.executable).with_name("opsin")),
            "demo",
            "digits",
            "--out",
            str(Path(folder) / "digits"),
        ]
        subprocess.run(command, check=True, capture_output=True)
        with studio(folder) as address, page_of(address) as page:
            page.wait_for_selector("[data-layer] canvas")
            page.keyboard.press("Escape")
            wrong = []
            for pen in PENS:
                for digit in DIGITS:
                    draw(page, digit, pen)
                    page.wait_for_timeout(1500)
                    best = page.evaluate(BEST)
                    if best != str(digit):
                        wrong.append({"digit": digit, "pen": pen, "answer": best})
    drawn = len(PENS) * len(DIGITS)
    print(f"  {drawn - len(wrong)} of {drawn} right  {wrong}", flush=True)
    return [{**most("digits", drawn - len(wrong), 27), "bound": "at least", "of": drawn, "wrong": wrong}]


SCRUB = """async () => {
  const slider = document.querySelector('footer input[type=range], input[type=range]');
  const last = Number(slider.max);
  let frames = 0, running = true;
  const count = () => { frames += 1; if (running) requestAnimationFrame(count); };
  const drawn = new Set();
  requestAnimationFrame(count);
  const began = performance.now();
  for (let at = 0; at <= last; at += 1) {
    slider.value = String(at);
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    await new Promise(requestAnimationFrame);
    const canvas = document.querySelector('main canvas');
    drawn.add(canvas ? canvas.toDataURL() : '');
  }
  running = false;
  return [frames / (performance.now() - began) * 1000, drawn.size, last + 1];
}"""


def film(rounds: int) -> list[dict[str, Any]]:
    """Frames a second while the slider goes through 200 snapshots, one a frame."""
    with digits_run(snapshots=200) as folder, studio(folder) as address, page_of(address) as page:
        page.wait_for_selector("[data-layer] canvas")
        page.keyboard.press("Escape")
        page.keyboard.press("2")
        page.wait_for_timeout(4000)
        found = []
        for turn in range(rounds + 1):
            rate, different, steps = page.evaluate(SCRUB)
            if turn:
                found.append(rate)
            print(f"  round {turn}/{rounds}  {rate:6.1f} frames/s, {different} pictures of {steps} steps", flush=True)
    return [{**most("film", statistics.median(found), 30), "bound": "at least", "rounds": found}]


def photograph(rounds: int) -> list[dict[str, Any]]:
    """ResNet-18 at 224 px: the maps of layers 1 to 4 in one answer, its bytes and its time without the browser."""
    model = opsin.build_model("torchvision/resnet18", classes=1000)
    subject = Subject.of(model)
    layers = [name for name, _ in model.module.named_children() if name.startswith("layer")]
    graph = answer(subject, "graph", {})
    names = [node["name"] for node in graph["nodes"] if node["module"].split(".")[0] in layers]
    ends = [[name for name in names if name.startswith(layer)][-1] for layer in layers]
    found, bytes_sent = [], 0
    for turn in range(rounds + 1):
        noise = np.random.default_rng(turn).integers(0, 3, (224, 224, 3), dtype=np.uint8)
        pixels = np.minimum(subject.images[f"example/{turn % 4}"].pixels[:224, :224] // 2 + noise, 255).astype(np.uint8)
        began = time.perf_counter()
        put = answer(subject, "put", {"pixels": pixels, "name": "dropped"})
        document, buffers = wire.pack(answer(subject, "maps", {"image": put["id"], "layers": ends}))
        bytes_sent = len(wire.encode({"kind": "answer", "answer": document}, buffers))
        spent = 1000 * (time.perf_counter() - began)
        if turn:
            found.append(spent)
        print(f"  round {turn}/{rounds}  {spent:8.0f} ms  {bytes_sent / 1000:.0f} kB", flush=True)
    return [
        most("frame", bytes_sent / 1000, 500),
        {**most("drop", statistics.median(found), 400), "rounds": found},
    ]


def report(_rounds: int) -> list[dict[str, Any]]:
    """A report of a run with 1,000 test images."""
    with digits_run() as folder:
        page = opsin.report(folder / "digits")
        return [most("report", page.stat().st_size / 1000, 8000)]


PARTS = {
    "sizes": sizes, "paint": paint, "drawing": drawing, "digits": digits, "film": film, "photograph": photograph,
    "report": report,
}  # fmt: skip

if __name__ == "__main__":
    run_parts("web", __doc__ or "", PARTS)
