"""Which images a model was trained and tuned on, as its run folder tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from opsin.errors import OpsinError
from opsin.files import read_json
from opsin.inference.calibration import Answers
from opsin.models.classifier import Classifier
from opsin.models.weights import bare, read_state

if TYPE_CHECKING:
    from opsin.data.dataset import Dataset


@dataclass(frozen=True)
class History:
    """Content hashes of the images that a run trained on, and of those that chose its best weights."""

    run: Path
    trained: frozenset[str]
    tuned: frozenset[str]

    @property
    def seen(self) -> frozenset[str]:
        """All images on which the model's answers are too good."""
        return self.trained | self.tuned


def read_history(model: Classifier) -> History | None:
    """The history of a model that came from a run folder or from a file in its `weights`; None where nothing is known.

    Raises:
        OpsinError: the run's `splits.parquet` is damaged.
    """
    run = _run_of(model.origin)
    if run is None or not (run / "splits.parquet").is_file():
        return None
    rows = _read_columns(run / "splits.parquet", ("hash", "split"))
    split_of = np.array(rows["split"], object)
    hashes = np.array(rows["hash"], object)
    trained, tuned = (frozenset(hashes[split_of == name].tolist()) for name in ("train", "validation"))
    return History(run, trained, tuned)


def stored_validation(model: Classifier, history: History) -> Answers | None:
    """The answers on validation images that the run wrote down, if it was this very network that gave them."""
    path = history.run / "predictions.parquet"
    if not path.is_file() or not _is_best(model, history.run):
        return None
    rows = _read_columns(path, ("split", "label", "probabilities"))
    kept = [i for i, split in enumerate(rows["split"]) if split == "validation"]
    if not kept:
        return None
    probabilities = np.array([rows["probabilities"][i] for i in kept], np.float32)
    # logarithms are logits up to a constant per image; a probability that vanished in float32 gets the smallest one
    logarithms = np.log(np.maximum(probabilities, np.finfo(np.float32).smallest_subnormal))
    return Answers(logarithms, np.array([rows["label"][i] for i in kept], np.int64))


def unseen(data: Dataset, wanted: np.ndarray, histories: Sequence[History | None]) -> np.ndarray:
    """Those of the positions `wanted` whose image none of the histories holds."""
    seen = frozenset().union(*(history.seen for history in histories if history is not None))
    return np.array([i for i in wanted.tolist() if data.hashes[i] not in seen], np.int64)


def _run_of(origin: Path | None) -> Path | None:
    if origin is None:
        return None
    run = origin.parent.parent if origin.is_file() and origin.parent.name == "weights" else origin
    return run if (run / "run.json").is_file() else None


def _is_best(model: Classifier, run: Path) -> bool:
    """Whether the model has the classes, the Preprocess and, bit by bit, the weights that answered in the run."""
    info, path = read_json(run / "run.json"), run / "weights" / "best.safetensors"
    preprocess = None if model.preprocess is None else model.preprocess.model_dump(mode="json")
    if not path.is_file() or info.get("classes") != list(model.classes or ()) or info.get("preprocess") != preprocess:
        return False
    own = bare(model.module).state_dict()
    return all(
        name in own and own[name].dtype == tensor.dtype and torch.equal(own[name].cpu(), tensor)
        for name, tensor in read_state(path)[0].items()
    )


def _read_columns(path: Path, names: Sequence[str]) -> dict[str, list]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, columns=list(names))
        return {name: table[name].to_pylist() for name in names}
    except (OSError, KeyError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise OpsinError(f"cannot read {path}: {reason}; the run is damaged: train again") from error
