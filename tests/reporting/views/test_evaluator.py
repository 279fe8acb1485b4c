"""The evaluator in the browser against PyTorch and Pillow: Python writes what it computes, vitest compares."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import missing
from opsin.data.decode import from_array
from opsin.data.preprocess import Preprocess
from opsin.reporting.views.wire import encode, pack

WEB = Path(__file__).parents[3] / "web"
CENTRED = {"L": (0.3,), "LA": (0.3, 0.0), "RGB": (0.485, 0.456, 0.406), "RGBA": (0.5, 0.5, 0.5, 0.0)}
SPREAD = {"L": (0.31,), "LA": (0.31, 1.0), "RGB": (0.229, 0.224, 0.225), "RGBA": (0.5, 0.5, 0.5, 1.0)}


def write(folder: Path, name: str, value: object) -> None:
    document, buffers = pack(value)
    (folder / f"{name}.bin").write_bytes(encode({"document": document}, buffers))


def photo(mode: str) -> np.ndarray:
    """A real photograph, 90 x 131; alpha fades from left to right and is 0 in places."""
    import skimage.data

    picture = Image.fromarray(skimage.data.chelsea()).resize((131, 90))
    if mode.endswith("A"):
        fade = np.tile(np.linspace(0, 255, 131).astype(np.uint8), (90, 1))
        picture.putalpha(Image.fromarray(fade))
    return np.asarray(picture.convert(mode)).reshape(90, 131, -1)


PICTURES = [
    *(
        (f"{mode}-{fit}-{interpolation}", photo, mode, (28, 28), {"fit": fit, "interpolation": interpolation})
        for mode, fit, interpolation in itertools.chain(
            itertools.product(["L"], ["crop", "pad", "stretch"], ["nearest", "bilinear", "bicubic", "lanczos"]),
            itertools.product(["LA", "RGB", "RGBA"], ["crop"], ["nearest", "bilinear", "lanczos"]),
        )
    ),
    ("larger", photo, "RGB", (200, 150), {"interpolation": "bicubic"}),
    ("margin", photo, "RGB", (32, 40), {"crop": 0.875}),
    ("flat", photo, "RGB", (33, 7), {"fit": "pad"}),
]


def write_pictures(folder: Path) -> None:
    for (name, make, mode, (height, width), options), source in itertools.product(PICTURES, ["L", "RGB", "RGBA"]):
        pixels = make(source)
        preprocess = Preprocess(
            mode=mode, height=height, width=width, mean=CENTRED[mode], std=SPREAD[mode], **options
        )  # fmt: skip
        seen = preprocess.pixels(from_array(pixels, source))
        fixture = {
            "pixels": pixels,
            "preprocess": preprocess.model_dump(mode="json"),
            "seen": seen,
            "tensor": preprocess.normalise(seen[None])[0].numpy(),
            "geometry": list(preprocess.geometry(pixels.shape[:2])),
        }
        write(folder, f"picture-{name}-of-{source}", fixture)


@pytest.fixture(scope="module")
def compared(tmp_path_factory) -> dict[str, str]:
    """What vitest found: the title of each comparison -> "" or what was different."""
    if shutil.which("node") is None or not (WEB / "node_modules" / "vitest").is_dir():
        missing("node with web/node_modules")
    folder = tmp_path_factory.mktemp("fixtures")
    write_pictures(folder)
    result = folder / "result.json"
    arguments = ["run", "tests/evaluator/parity.test.ts", "--reporter=json", f"--outputFile={result}"]
    done = subprocess.run(
        ["node", "node_modules/vitest/vitest.mjs", *arguments],
        cwd=WEB, env=os.environ | {"OPSIN_FIXTURES": str(folder)}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    if not result.exists():
        pytest.fail(f"vitest did not run: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    (suite,) = json.loads(result.read_text())["testResults"]
    return {case["title"]: "\n".join(case["failureMessages"]) for case in suite["assertionResults"]}


@pytest.mark.parametrize("source", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("name", [case[0] for case in PICTURES])
def test_a_picture_becomes_the_same_input_as_in_python(compared, name, source):
    assert compared[f"picture-{name}-of-{source}"] == ""
