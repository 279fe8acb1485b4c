"""Screenshots of every view, into docs/images/LANGUAGE/VIEW.png: trains the demonstration, opens the studio, looks.

Usage: make screenshots, or python docs/screenshots.py [--run RUN]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

IMAGES = Path(__file__).parent / "images"
OPSIN = str(Path(sys.executable).with_name("opsin"))
LANGUAGES = ("en", "zh-CN")
VIEWS = ("flow", "film", "why", "space", "classes", "compare", "maps", "filters", "channel")  # keys 1 to 9
SEVEN = ((0.3, 0.22), (0.7, 0.22), (0.58, 0.5), (0.46, 0.82))
SIZE = {"width": 1280, "height": 800}


def draw(page: Page) -> None:
    """A seven on the drawing canvas."""
    paper = page.locator(".paper").bounding_box()
    assert paper is not None
    places = [(paper["x"] + x * paper["width"], paper["y"] + y * paper["height"]) for x, y in SEVEN]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=8)
    page.mouse.up()


def settle(page: Page, seconds: float = 4) -> None:
    """Wait until nothing is being worked out any more."""
    page.wait_for_timeout(1000 * seconds)
    page.wait_for_selector(".waiting", state="detached", timeout=120_000)


def unit(page: Page) -> None:
    """From the flow down to one number of the second convolution."""
    page.keyboard.press("1")
    settle(page)
    page.evaluate(
        "location.hash = location.hash.replace(/&(layer|channel|unit)=[^&]*/g, '') + '&layer=conv2&unit=5,4,4'"
    )
    page.reload()
    settle(page)


EXTRA: dict[str, Callable[[Page], None]] = {"unit": unit}


def shoot(address: str, subject: str) -> None:
    """All views of a run, in both languages; the Chinese ones in the dark theme."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, reduced_motion="reduce")
        page.goto(address)
        page.wait_for_selector("[data-layer]")
        page.keyboard.press("Escape")
        page.locator("header select").first.select_option(label=subject)
        settle(page)
        for language in LANGUAGES:
            folder = IMAGES / language
            folder.mkdir(parents=True, exist_ok=True)
            page.keyboard.press("1")
            settle(page, 1)
            draw(page)
            for key, view in enumerate(VIEWS, 1):
                page.keyboard.press(str(key))
                settle(page)
                save(page, folder / f"{view}.png")
            for name, act in EXTRA.items():
                act(page)
                save(page, folder / f"{name}.png")
            page.keyboard.press("l")
            page.keyboard.press("t")
            settle(page, 1)
        browser.close()


def save(page: Page, path: Path) -> None:
    """A screenshot with 256 colours, none far from its own however rare it is: a third of the size."""
    page.screenshot(path=path)
    picture = Image.open(path).convert("RGB")
    picture.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path, optimize=True)
    print(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, help="a run to look at; by default the demonstration's is trained")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder)
        if asked.run is None:
            subprocess.run([OPSIN, "demo", "digits", "--out", str(runs / "digits")], check=True)
            subprocess.run(
                [OPSIN, "train", "mnist5k", "--engine", "scratch", "--out", str(runs / "by-hand")], check=True
            )
        where = runs if asked.run is None else asked.run.parent
        studio = subprocess.Popen([OPSIN, "studio", str(where), "--no-browser"], stdout=subprocess.PIPE, text=True)
        try:
            assert studio.stdout is not None
            shoot(studio.stdout.readline().strip().split()[-1], "digits" if asked.run is None else asked.run.name)
        finally:
            studio.terminate()
            studio.wait(20)


if __name__ == "__main__":
    main()
