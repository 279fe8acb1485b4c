"""Evidence beside pytorch-grad-cam's ROAD and Quantus's pixel flipping: same maps, same steps, alternating in one
process.

Usage: python bench/evidence.py [--rounds 5] [--only road flipping pointing]
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import quantus
import torch
from pytorch_grad_cam.metrics.road import ROADMostRelevantFirstAverage
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget

import opsin
from explain import network
from measure import alternate, milliseconds, ratio, run_parts
from opsin.evidence import faithfulness, road
from opsin.evidence.localisation import build_mosaics
from opsin.evidence.subject import Subject, subject_of
from opsin.explanation.recommend import recommend
from opsin.inference.engines.engine import open_engine
from opsin.models.classifier import Classifier

SEEDS = (0, 1, 2)  # each lays the photographs out in other mosaics
PERCENTILES = tuple(range(10, 100, 10))
STEPS = 16  # a divisor of the places of both sizes, which Quantus needs


@dataclass(frozen=True)
class Case:
    """Images of one size with their maps."""

    name: str
    model: Classifier
    maps: torch.Tensor
    subject: Subject


def case(name: str) -> Case:
    """Photographs and the large network, or digits and a small one."""
    if name == "photographs":
        found = network("efficientnet_lite0", 4)
        model, images = found.model, found.images
    else:
        data = opsin.load_data("mnist5k")
        model = opsin.build_model("seed_cnn", classes=data.classes, channels=1, size=28, seed=0)
        images = model.preprocess.normalise(data.validation.pixels(model.preprocess)[:64])
    model.module.eval()  # Quantus asks for it
    why = opsin.explain(model, images, "grad_cam")
    subject = subject_of(why, model, "probability")
    engine = open_engine(model, subject.inputs, evaluations=1e6)
    return Case(name, model, torch.from_numpy(why.maps), Subject(model, subject.inputs, subject.targets, engine=engine))


def beside(
    peer: str, ours: Callable[[Case], object], theirs: Callable[[Case], object], goal: float, rounds: int
) -> list[dict[str, Any]]:
    """Both kinds of images, Opsin and a peer in turn."""
    rows = []
    for name in ("photographs", "digits"):
        found = case(name)
        runs = {"opsin": partial(ours, found), peer: partial(theirs, found)}
        figures = alternate({key: milliseconds(run) for key, run in runs.items()}, rounds)
        rows.append({
            "case": name, "images": len(found.maps), "engine": found.subject.engine.name, "milliseconds": figures,
            "faster": ratio(figures, peer, "opsin"), "goal": goal,
        })  # fmt: skip
    return rows


def roads(rounds: int) -> list[dict[str, Any]]:
    """ROAD, most relevant first, at nine shares."""
    return beside("pytorch-grad-cam", our_road, their_road, 20.0, rounds)


def our_road(found: Case) -> None:
    generator = torch.Generator().manual_seed(0)
    order = faithfulness.ranks(found.maps[None], generator)
    road.curves(found.subject, order, generator, least_first=False)


def their_road(found: Case) -> None:
    targets = [ClassifierOutputSoftmaxTarget(int(target)) for target in found.subject.targets.classes[:, 0]]
    metric = ROADMostRelevantFirstAverage(list(PERCENTILES))
    metric(found.subject.inputs, found.maps.numpy(), targets, found.model.module)


def flipping(rounds: int) -> list[dict[str, Any]]:
    """Deletion in as many steps as pixel flipping, which flips the same places of every channel together."""
    return beside("quantus", deletion, pixel_flipping, 5.0, rounds)


def deletion(found: Case) -> None:
    order = faithfulness.ranks(found.maps[None], torch.Generator().manual_seed(0))
    base = faithfulness.baseline_of(found.subject.inputs, "constant")
    faithfulness.curves(found.subject, found.maps[None], order, base, STEPS, insert=False)


def pixel_flipping(found: Case) -> None:
    inputs = found.subject.inputs.numpy()
    maps = np.repeat(found.maps.numpy()[:, None], inputs.shape[1], axis=1)
    metric = quantus.PixelFlipping(features_in_step=inputs[0, 0].size // STEPS, disable_warnings=True)
    labels = found.subject.targets.classes[:, 0].numpy()
    metric(model=found.model.module, x_batch=inputs, y_batch=labels, a_batch=maps, device="cpu")


def pointing(_: int) -> list[dict[str, Any]]:
    """The grid pointing game on photographs: Grad-CAM, and what `opsin methods` recommends."""
    model = opsin.build_model("efficientnet_lite0", pretrained=True)
    photographs = photographs_of(model)
    rows = []
    best = recommend(model)
    for method, options, goal in (("grad_cam", {}, 0.78), (best.method, best.options, 0.90)):
        why = opsin.explain(model, photographs, method, **options)
        measures = [
            opsin.check(why, model, measures=["grid_pointing"], seed=seed).measures["grid_pointing"] for seed in SEEDS
        ]
        rows.append({
            "method": method, "options": options, "cells": sum(len(measure.values) for measure in measures),
            "in_the_right_cell": float(np.mean([measure.mean for measure in measures])),
            "peaks": peaks(model, photographs, method, options), "goal": goal,
            "random": float(np.mean([measure.controls["random"].mean for measure in measures])),
            "edges": float(np.mean([measure.controls["edge"].mean for measure in measures])),
        })  # fmt: skip
    return rows


def photographs_of(model: Classifier) -> torch.Tensor:
    """The twenty photographs of ImageNet classes that foolbox ships, as network input. Nothing was chosen on them."""
    spec = importlib.util.find_spec("foolbox")
    if spec is None or spec.origin is None:
        raise SystemExit("the photographs come with foolbox; install the bench extra")
    files = sorted(Path(spec.origin).parent.glob("data/imagenet_*"))
    return model.inputs(files)[0]


def peaks(model: Classifier, images: torch.Tensor, method: str, options: dict[str, Any]) -> str:
    """How many of the cells' maps have their highest place in the right cell."""
    hits = count = 0
    for seed in SEEDS:
        mosaics = build_mosaics(model, images, seed)
        for cell, inside in enumerate(mosaics.cells()):
            found = opsin.explain(model, mosaics.inputs, method, mosaics.targets[:, cell].tolist(), **options)
            flat = found.maps.reshape(len(found.maps), -1).argmax(axis=1)
            hits += int(inside.reshape(-1)[flat].sum())
            count += len(flat)
    return f"{hits}/{count}"


PARTS = {"road": roads, "flipping": flipping, "pointing": pointing}


if __name__ == "__main__":
    run_parts("evidence", __doc__, PARTS)
