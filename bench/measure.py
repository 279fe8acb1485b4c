"""What every benchmark needs: the machine, medians of alternating rounds, and where results go."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    import torch

    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = models[0] if models else name
    return {
        "processor": name,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": platform.system(),
        "python": platform.python_version(),
        **{package: version(package) for package in ("torch", "torchvision", "timm", "numpy")},
    }


def milliseconds(run: Callable[[], object]) -> Callable[[], float]:
    """A call that gives how long another took."""

    def timed() -> float:
        began = time.perf_counter()
        run()
        return 1000 * (time.perf_counter() - began)

    return timed


def alternate(candidates: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Run every candidate once per round, in turn, so that a drifting machine hits all alike; figures by name."""
    figures: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(rounds):
        for name, run in candidates.items():
            figures[name].append(run())
            print(f"  round {turn + 1}/{rounds}  {name:<28}{figures[name][-1]:>12,.1f}", flush=True)
    return figures


def ratio(figures: Mapping[str, list[float]], of: str, to: str) -> float:
    """The median over rounds of one figure divided by another of the same round."""
    return statistics.median(a / b for a, b in zip(figures[of], figures[to], strict=True))


def write(name: str, result: Mapping[str, Any]) -> Path:
    """Write `bench/results/NAME.json`."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    value = {"measured": datetime.now(UTC).date().isoformat(), "machine": machine(), **result}
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    print(f"written: {path}")
    return path


def run_parts(script: str, described: str, parts: Mapping[str, Callable[[int], list[dict[str, Any]]]]) -> None:
    """Run the parts that the command line asks for (`--rounds`, `--only`), into `bench/results/SCRIPT-PART.json`."""
    parser = argparse.ArgumentParser(description=described.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=list(parts), default=list(parts))
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in asked.only:
        write(f"{script}-{name}", {"part": name, "rounds": asked.rounds, "rows": parts[name](asked.rounds)})
