"""Test accuracy of the named recipes, median of three seeds. No setting was chosen on the test images.

Usage: python bench/accuracy.py [digits fashion-10 fashion-25] [--seeds 3]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

import opsin
from measure import write

RECIPES = Path(__file__).parent / "recipes"
TASKS = {
    "digits": {"data": "mnist5k", "goal": 0.985, "macs": None},
    "fashion-10": {"data": "fashion-mnist", "goal": 0.93, "macs": 10e6},
    "fashion-25": {"data": "fashion-mnist", "goal": 0.94, "macs": 25e6},
}


def run_one(task: str, seed: int) -> dict[str, float]:
    """Train with one seed; scores on the packaged test split."""
    data = opsin.load_data(TASKS[task]["data"], seed=seed)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        if task == "digits":
            run = opsin.train(None, data, opsin.Recipe(seed=seed), out=out)
        else:
            recipe = opsin.Recipe.load(RECIPES / f"{task}.toml", seed=seed)
            run = opsin.train(model_of(task, data, seed), data, recipe, out=out)
        assert run.scores is not None
        return {
            "seed": seed,
            "accuracy": run.scores.accuracy,
            "validation": max(line["accuracy"] for line in run.epochs),
            "epochs": len(run.epochs),
            "macs": run.info["model"]["macs"],
            "parameters": run.info["model"]["parameters"],
            "training_seconds": sum(line["seconds"] for line in run.epochs),
            "seconds": time.perf_counter() - began,
        }


def model_of(task: str, data: opsin.Dataset, seed: int) -> opsin.Classifier:
    """The network of a Fashion-MNIST task."""
    from opsin.training.choose import suit_preprocess

    options = NETWORKS[task]
    preprocess = suit_preprocess(data, (28, 28), 1)
    return opsin.build_model(
        "conv_bn", classes=data.classes, channels=1, size=28, preprocess=preprocess, seed=seed, options=options
    )


NETWORKS: dict[str, dict[str, object]] = {
    "fashion-10": {"activation": "silu"},
    "fashion-25": {"activation": "silu", "widths": (16, 32, 64, 96, 128), "pools": (2, 4)},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    if len(asked.tasks) > 1:  # a process each, so that each has its own peak of memory
        for task in asked.tasks:
            subprocess.run([sys.executable, __file__, task, "--seeds", str(asked.seeds)], check=True)
        return
    for task in asked.tasks:
        runs = [run_one(task, seed) for seed in range(asked.seeds)]
        median = statistics.median(run["accuracy"] for run in runs)
        goal, most = TASKS[task]["goal"], TASKS[task]["macs"]
        assert most is None or runs[0]["macs"] <= most, "the network is larger than the task allows"
        print(f"{task}: median {median:.2%} of {asked.seeds} seeds, goal {goal:.1%}")
        peak = psutil.Process().memory_info()
        memory = getattr(peak, "peak_wset", None) or peak_memory()
        write(
            f"accuracy-{task}",
            {"task": task, "goal": goal, "median": median, "runs": runs, "peak_memory_bytes": memory},
        )


def peak_memory() -> int | None:
    """Largest resident size of this process so far, in bytes, where the system tells."""
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
