"""What recording costs: training time with a snapshot every 100 batches against none, alternating in one process.

Usage: python bench/record.py [--rounds 9] [--epochs 1]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import numpy as np

import opsin
from measure import alternate, write
from opsin.training.recorder.writer import read_lines
from opsin.training.view import Quiet

NETWORKS = ("seed_cnn", "conv_bn")


def seconds(name: str, data: opsin.Dataset, record: bool, epochs: int) -> float:
    """Training seconds of the last `epochs` epochs; recording and nothing else differs."""
    model = opsin.build_model(name, classes=data.classes, channels=1, size=28, seed=0)
    settings = {"epochs": epochs, "batch_size": 128, "crop": 2, "flip": True, "embeddings": 0}
    recipe = opsin.Recipe(**settings, **({"record_every": 100} if record else {"record": False}))
    with tempfile.TemporaryDirectory() as folder:
        run = opsin.train(model, data, recipe, out=Path(folder) / "run", view=Quiet())
        return sum(line["seconds"] for line in read_lines(run.path / "epochs.jsonl"))


def untested(data: opsin.Dataset) -> opsin.Dataset:
    """The same images without a test split: nothing is scored after training, which is not what is measured."""
    kept = data.splits != "test"
    pictures, labels = np.asarray(data.pictures)[kept], data.labels[kept]
    return opsin.Dataset.from_arrays(pictures, labels, data.classes, splits=data.splits[kept].tolist())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--epochs", type=int, default=1)
    asked = parser.parse_args()
    data = untested(opsin.load_data("fashion-mnist"))
    rows = []
    for name in NETWORKS:
        print(f"{name}, fashion-mnist, {asked.epochs} epoch(s)")
        figures = alternate(
            {
                "recording": lambda name=name: seconds(name, data, True, asked.epochs),
                "not recording": lambda name=name: seconds(name, data, False, asked.epochs),
            },
            asked.rounds,
        )
        pairs = zip(figures["recording"], figures["not recording"], strict=True)
        overhead = statistics.median(a / b for a, b in pairs) - 1
        print(f"  recording costs {overhead:+.1%} of training time")
        rows.append({"network": name, "seconds": figures, "overhead": overhead, "goal": 0.03})
    write("record", {"every": 100, "probe": 16, "rounds": asked.rounds, "rows": rows})


if __name__ == "__main__":
    main()
