"""Following runs that another process writes, by looking at their files again and again."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path

EVERY = 0.5  # seconds between two looks

# What belongs to what: the files whose change makes a part of a run another one, and the questions whose answers
# depend on it. `*` stands for all others: those about the network itself.
PARTS: Mapping[str, tuple[str, ...]] = {
    "about": ("run.json", "scores.json", "report.html"),
    "steps": ("steps.jsonl", "epochs.jsonl"),
    "snapshots": ("snapshots", "embeddings", "losses", "probe.safetensors"),
    "answers": ("predictions.parquet",),
    "evidence": ("evidence",),
    "weights": ("weights",),
}
QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "about": ("subject", "steps", "classes"),
    "steps": ("subject", "steps", "classes", "spaces"),
    "snapshots": ("subject", "steps", "probe", "filters", "gabor", "spaces", "space", "layout", "images"),
    "answers": ("subject", "space", "layout", "classes", "curves", "gallery"),
    "evidence": ("subject", "methods", "why", "explain", "evidence"),
    "weights": ("*",),
}

Written = Mapping[str, tuple[tuple[str, int, int], ...]]
"""Per part: names, sizes and times of its files."""


def written(run: Path) -> Written:
    """What there is of a run. A folder counts by its own time, which changes when a file in it is added or replaced."""
    return {part: tuple(_state(run / name) for name in names) for part, names in PARTS.items()}


def changed_questions(before: Written, after: Written) -> list[str]:
    """The questions whose answers may be others now."""
    return sorted({name for part in after if before.get(part) != after[part] for name in QUESTIONS[part]})


def _state(path: Path) -> tuple[str, int, int]:
    try:
        state = path.stat()
    except OSError:
        return path.name, -1, -1
    # the size of a folder says nothing; what is written into its files in place does not happen in a run
    return path.name, state.st_mtime_ns, 0 if stat.S_ISDIR(state.st_mode) else state.st_size
