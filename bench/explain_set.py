"""Memory of `opsin explain` over many images: 20,000 pictures of 28 x 28 through a small network, in one process.

Usage: python bench/explain_set.py [--images 20000]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from PIL import Image

import opsin
from measure import write
from opsin.explanation.sets import explain_set

EVERY = 1000
"""Images between two measurements; the memory after the first so many is what later ones are compared to."""
GOAL = 50 * 2**20


def memory(images: int = 20_000) -> dict[str, Any]:
    """Resident memory in bytes while a set is explained, every 1,000 images, and how much it grew after the first."""
    data = opsin.load_data("fashion-mnist")
    model = opsin.build_model("seed_cnn", classes=data.classes, channels=1, size=28, seed=0)
    process = psutil.Process()
    points: list[tuple[int, int]] = []

    def measure(_what: str, done: int, _total: int) -> None:
        if done >= (len(points) + 1) * EVERY:
            points.append((done, process.memory_info().rss))
            print(f"  {done:>7,} images  {points[-1][1] / 2**20:>8.1f} MiB", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder) / "pictures"
        pictures.mkdir()
        for at in range(images):
            Image.fromarray(data.pictures[at % len(data.pictures)].squeeze()).save(pictures / f"{at}.png")
        began = time.perf_counter()
        found = explain_set(model, pictures, Path(folder) / "out", overlays=False, progress=measure)
        seconds = time.perf_counter() - began
        explained = found.count
        bytes_on_disk = sum(path.stat().st_size for path in found.path.rglob("*") if path.is_file())
    first = points[0][1]
    return {
        "images": explained,
        "network": "seed_cnn",
        "method": "grad_cam",
        "points": points,
        "grew_bytes": max(rss for _, rss in points[1:]) - first,
        "goal_bytes": GOAL,
        "images_per_second": explained / seconds,
        "bytes_on_disk_per_image": bytes_on_disk / explained,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20_000)
    result = memory(parser.parse_args().images)
    print(
        f"memory grew by {result['grew_bytes'] / 2**20:.1f} MiB after the first {EVERY:,} images "
        f"(goal: at most {GOAL / 2**20:.0f}); {result['images_per_second']:,.0f} images/s"
    )
    write("explain-set", result)


if __name__ == "__main__":
    main()
