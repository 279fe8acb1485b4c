"""Small but complete run folders: real records of a tiny network, everything else with numbers that a test chooses."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import opsin
from opsin.evidence.kept import keep
from opsin.files import read_json, write_json, write_tensors
from opsin.inference import scoring
from opsin.records import (
    Baseline,
    ClassScores,
    Control,
    Evidence,
    Explanation,
    Interval,
    Measure,
    Scores,
    Threshold,
)
from opsin.reporting.parts.material import Material
from opsin.training.recorder.writer import append_line

EVIL = ("<script>alert(1)</script>", 'a"onload="x', "{{ 7*7 }} & {name}")
CLASSES = ("cat", "dog", "eel")
IMAGES = 90  # of which the first 30 are for training, then 30 for validation and 30 for the test


def record_tiny(folder: Path, *, steps: int = 6, labels: bool = True, classes: tuple[str, ...] | None = None) -> None:
    """A tiny network in a loop of its own, recorded every second step."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
    probe = torch.rand(6, 1, 8, 8)
    target = torch.arange(6) % 3
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    with opsin.record(net, probe, out=folder, labels=target if labels else None, classes=classes, every=2) as recording:
        for _ in range(steps):
            optimiser.zero_grad()
            loss = F.cross_entropy(net(probe), target)
            loss.backward()
            optimiser.step()
            recording.step(loss=loss.item(), lr=0.1, images=6, epoch=0)


def make_scores(probabilities: np.ndarray, labels: np.ndarray, classes: tuple[str, ...], **changes: Any) -> Scores:
    """Scores whose figures belong together, from answers."""
    answers = probabilities.argmax(axis=1)
    matrix = scoring.confusion(labels, answers, len(classes))
    ratios = scoring.class_ratios(matrix)
    macro, weighted = scoring.averages(ratios)
    accuracy = float((answers == labels).mean())
    table = scoring.reliability(probabilities, labels)
    curve = np.array([[0, 0, np.inf], [0.1, 0.8, 0.6], [1, 1, 0]])
    scores = Scores(
        images=len(labels),
        classes=classes,
        accuracy=accuracy,
        accuracy_interval=Interval(max(0.0, accuracy - 0.05), min(1.0, accuracy + 0.05)),
        top_k={1: accuracy, 2: 1.0},
        macro=macro,
        weighted=weighted,
        per_class=tuple(
            ClassScores(
                name, int(ratios.support[i]), float(ratios.precision[i]), float(ratios.recall[i]),
                float(ratios.f1[i]), 0.9 + 0.01 * i, Interval(0.1, 0.9),
            )
            for i, name in enumerate(classes)
        ),
        confusion=matrix,
        ece=scoring.calibration_error(table),
        brier=scoring.brier(probabilities, labels),
        nll=0.3,
        reliability=table,
        temperature=1.5,
        ece_calibrated=0.01,
        auroc=0.95,
        roc=dict.fromkeys(classes, curve),
        pr=dict.fromkeys(classes, curve),
        thresholds=(Threshold(classes[0], "specificity >= 0.95", 0.4, 0.9, 0.96),),
        baselines=(
            Baseline("majority class", 0.34, Interval(0.2, 0.45)),
            Baseline("a new <b>method</b>", 0.4, Interval(0.3, 0.5)),
        ),
        notes=("a <i>note</i>",),
    )  # fmt: skip
    return dataclasses.replace(scores, **changes)


def answers_of(labels: np.ndarray, right: float, confidence: float, seed: int = 0) -> np.ndarray:
    """Probabilities float32 `(n, 3)`: a share of `right` answers, each with the same confidence."""
    rng = np.random.default_rng(seed)
    wrong = rng.permutation(len(labels)) >= round(right * len(labels))
    answers = np.where(wrong, (labels + 1) % 3, labels)
    probabilities = np.full((len(labels), 3), (1 - confidence) / 2, np.float32)
    probabilities[np.arange(len(labels)), answers] = confidence
    return probabilities


def epoch_line(epoch: int, **changes: Any) -> dict[str, Any]:
    """A line of `epochs.jsonl` of a run that learns well."""
    line = {
        "epoch": epoch, "step": 2 * epoch, "train_loss": 1.0 / epoch, "train_accuracy": 0.9, "lr": 0.01, "seconds": 1.0,
        "loss": 1.1 / epoch, "accuracy": 0.9, "confusion": [[9, 1, 0], [0, 10, 0], [1, 0, 9]], "ece": 0.02,
        "alarms": [],
    }  # fmt: skip
    return {**line, **changes}


def trained_run(
    folder: Path,
    recorded: Path,
    *,
    classes: tuple[str, ...] = ("cat", "dog", "eel"),
    right: float = 0.9,
    confidence: float = 0.9,
    scores: bool = True,
    score_changes: dict[str, Any] | None = None,
    epochs: tuple[dict[str, Any], ...] | None = None,
    status: str = "finished",
    data: dict[str, Any] | None = None,
    group: list[str] | None = None,
    info: dict[str, Any] | None = None,
) -> opsin.Run:
    """A run as `opsin.train` leaves it, whose images are no longer there; its records are those of `recorded`."""
    shutil.copytree(recorded, folder)
    labels = np.arange(IMAGES) % 3
    split = np.repeat(["train", "validation", "test"], IMAGES // 3)
    names = [f"{classes[label]}/{i}.png" for i, label in enumerate(labels)]
    hashes = [f"hash{i}" for i in range(IMAGES)]
    counts = {name: dict.fromkeys(classes, IMAGES // 9) for name in ("train", "validation", "test")}
    first = read_json(folder / "run.json")
    write_json(folder / "run.json", {
        **first, "status": status, "seed": 0, "device": "cpu", "threads": 1, "seconds": 12.5,
        "model": {"name": "tiny", "type": "Sequential", "parameters": 475, "macs": 1_234_567},
        "classes": list(classes), "recipe": {"epochs": 3, "label_smoothing": 0.06, "mixup": 0.0, "trunk": "train"},
        "choices": ["a reason with <b>markup</b>"],
        "data": {
            "name": "animals", "source": {"source": str(folder / "gone"), "seed": 0}, "fingerprint": "f" * 64,
            "images": IMAGES, "counts": counts, "unreadable": [], "notes": [], "duplicates": [],
            "sizes": {"median": [20, 30], "min": [8, 8], "max": [40, 50]}, **(data or {}),
        },
        **(info or {}),
    })  # fmt: skip
    pq.write_table(
        pa.table(
            {
                "name": names,
                "hash": hashes,
                "label": [classes[label] for label in labels],
                "group": group or [None] * IMAGES,
                "split": split,
            }
        ),
        folder / "splits.parquet",
    )
    for line in (epoch_line(1), epoch_line(2), epoch_line(3)) if epochs is None else epochs:
        append_line(folder / "epochs.jsonl", line)
    for epoch in (0, 1):
        rng = np.random.default_rng(epoch)
        features = rng.normal(size=(30, 5)) + 4 * epoch * np.eye(5)[labels[30:60]]
        arrays = {"features": features.astype(np.float16), "labels": labels[30:60], "indices": np.arange(30, 60)}
        write_tensors(folder / "embeddings" / f"{epoch:04d}.safetensors", arrays, {"layer": "3"})
    targets = np.full((4, 3), 0.02, np.float32)
    targets[:, 0] = 0.96
    targets[3] = [0.58, 0.4, 0.02]
    pixels = np.random.default_rng(2).integers(0, 256, (4, 8, 8, 1), np.uint8)
    write_tensors(folder / "batches" / "0000.safetensors", {"images": pixels, "targets": targets})
    if status == "finished":
        write_answers(folder, labels, right, confidence)
        if scores:
            test = answers_of(labels[60:], right, confidence, 1)
            make_scores(test, labels[60:], classes, **(score_changes or {})).save(folder / "scores.json")
    return opsin.Run(folder)


def write_answers(folder: Path, labels: np.ndarray, right: float, confidence: float) -> None:
    """`predictions.parquet` of validation and test."""
    probabilities = np.concatenate([answers_of(labels[30:60], right, confidence, 0),
                                    answers_of(labels[60:], right, confidence, 1)])  # fmt: skip
    table = {
        "split": ["validation"] * 30 + ["test"] * 30,
        "hash": [f"hash{i}" for i in range(30, 90)],
        "index": np.arange(30, 90),
        "label": labels[30:],
        "probabilities": probabilities.tolist(),
        "loss": -np.log(probabilities[np.arange(60), labels[30:]]),
    }
    pq.write_table(pa.table(table), folder / "predictions.parquet")


def make_explanation(method="grad_cam", images=12, side=8, signed=False, **changes) -> Explanation:
    rng = np.random.default_rng(len(method))
    maps = rng.normal(size=(images, side, side)) if signed else rng.random((images, side, side))
    inputs = np.random.default_rng(0).random((images, 1, side, side))
    values = {
        "maps": maps.astype(np.float32), "inputs": inputs.astype(np.float32), "method": method,
        "options": {"relu": True}, "layer": "2", "targets": np.arange(images) % 3, "classes": CLASSES,
        "names": tuple(f"{CLASSES[i % 3]}/{30 + i}.png" for i in range(images)), "evaluations": 2,
        "display": ((0.0,), (1.0,)),
    }  # fmt: skip
    return Explanation(**{**values, **changes})


def make_measure(values: np.ndarray, random: np.ndarray, edge: np.ndarray, better="lower", **protocol) -> Measure:
    sign = 1 if better == "higher" else -1

    def control(other: np.ndarray, p_value: float | None) -> Control:
        gain = sign * (values - other)
        spread = Interval(gain.mean() - 0.1, gain.mean() + 0.1)
        return Control(other, other.mean(), Interval(other.mean(), other.mean()), gain.mean(), spread, p_value)

    curve = np.column_stack(
        [np.linspace(0, 1, 5), *np.linspace([0.9] * 3, [values.mean(), random.mean(), edge.mean()], 5).T]
    )
    return Measure(
        values, values.mean(), Interval(values.mean() - 0.05, values.mean() + 0.05), better,
        {"score": "probability", "steps": 4, "seed": 0, **protocol},
        {"random": control(random, 0.001), "edge": control(edge, None)},
        curve, ("share", "explanation", "random", "edge"),
    )  # fmt: skip


def make_evidence(
    explanation: Explanation, gain=0.3, likeness: float | None = 0.1, p_value=0.001, edge=0.2
) -> Evidence:
    """Evidence whose figures belong together: deletion, and randomisation where a likeness is given."""
    n = len(explanation)
    own = np.linspace(0.2, 0.4, n)
    measures = {"deletion": make_measure(own, own + gain, own - gain + edge)}
    verdict = "better than random" if p_value <= 0.05 else "no better than random"
    if likeness is not None:
        values = np.full(n, likeness)
        measures["randomisation"] = Measure(
            values, likeness, Interval(likeness, likeness), "lower", {"fails_from": 0.5}, {},
            np.array([[0.5, 0.2, 0.1], [1.0, 0.1, 0.0]]), ("share", "spearman", "ssim"),
        )  # fmt: skip
        verdict = "fails the sanity check" if likeness >= 0.5 else verdict
    return Evidence(
        verdict=verdict, reasons=("recorded",), measures=measures, skipped={"completeness": "it <does> not promise"},
        method=explanation.method, layer=explanation.layer, model="tiny", names=explanation.names, advantage=gain,
        advantage_interval=Interval(gain - 0.1, gain + 0.1), p_value=p_value, notes=("a <note>",),
    )  # fmt: skip


def keep_some(run: opsin.Run) -> None:
    """Keep maps of three methods in a run: one good, one that fails, one not checked."""
    some = {"names": tuple(f"{run.classes[i % 3]}/{30 + i}.png" for i in range(12)), "classes": run.classes}
    for method, changes in (("grad_cam", {}), ("guided_backprop", {"likeness": 0.8, "edge": -0.2})):
        explanation = make_explanation(method, **some)
        keep(run.path, explanation, make_evidence(explanation, **changes))
    keep(run.path, make_explanation("saliency", signed=True, layer="", notes=("a <note>",), **some))


@pytest.fixture(scope="session")
def recorded(tmp_path_factory):
    """The records of a tiny network, made once."""
    folder = tmp_path_factory.mktemp("recorded") / "run"
    record_tiny(folder)
    return folder


@pytest.fixture
def make_run(tmp_path, recorded):
    """`trained_run` in a new folder at each call."""
    count = iter(range(100))
    return lambda **settings: trained_run(tmp_path / f"run{next(count)}", recorded, **settings)


@pytest.fixture
def make_material(make_run):
    """The Material of `make_run`."""
    return lambda **settings: Material(make_run(**settings))


@pytest.fixture
def foreign_run(tmp_path):
    """A recorded loop without labels and class names."""
    record_tiny(tmp_path / "foreign", labels=False)
    return opsin.Run(tmp_path / "foreign")


@pytest.fixture(scope="session")
def every_run(tmp_path_factory, recorded):
    """Runs of every kind that the page has to cope with."""
    folder = tmp_path_factory.mktemp("every")
    count = iter(range(100))

    def make_run(**settings: Any) -> opsin.Run:
        return trained_run(folder / f"run{next(count)}", recorded, **settings)

    record_tiny(folder / "foreign", labels=False)
    recorded_nothing = make_run(info={"layers": []})
    single = ("probe.safetensors", "batches/0000.safetensors", "steps.jsonl")
    snapshots = (recorded_nothing.path / "snapshots").iterdir()
    for path in [*snapshots, *(recorded_nothing.path / name for name in single)]:
        path.unlink()
    empty = make_run(scores=False, status="running", epochs=())
    (empty.path / "steps.jsonl").unlink()
    checked = make_run()
    keep_some(checked)
    (checked.path / "evidence" / "rise.json").write_text("torn")
    pair = {"kind": "near", "first": "a", "second": "b", "first_split": "train", "second_split": "test", "distance": 2}
    evil = make_run(classes=EVIL, data={
        "name": EVIL[0], "notes": [EVIL[0]], "duplicates": [{**pair, "first": EVIL[0]}],
        "unreadable": [{"path": EVIL[0], "reason": EVIL[1]}],
    })  # fmt: skip
    keep_some(evil)
    return {
        "evil": evil,
        "checked": checked,
        "foreign": opsin.Run(folder / "foreign"),
        "nothing recorded": opsin.Run(recorded_nothing.path),
        "no test images": make_run(scores=False),
        "stopped": make_run(scores=False, status="stopped"),
        "failed": make_run(scores=False, status="failed", info={"error": "the loss became nan"}),
        "just begun": opsin.Run(empty.path),
    }  # fmt: skip
