"""The Run: the folder that one training leaves behind, opened for reading."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from opsin.errors import OpsinError
from opsin.files import read_json, read_tensors
from opsin.records import Scores, Snapshot
from opsin.records.shown import Shown
from opsin.training.recorder.writer import read_lines

if TYPE_CHECKING:
    from opsin.data.dataset import Dataset
    from opsin.data.preprocess import Preprocess

FORMAT = 1


@dataclass(frozen=True)
class Probe:
    """The images that are watched: uint8 `(n, h, w, c)` as the network gets them, labels (-1: unknown), dataset
    indices."""

    images: np.ndarray
    labels: np.ndarray
    indices: np.ndarray


@dataclass(frozen=True)
class Embedding:
    """Features float32 `(n, d)` of fixed validation images after one epoch, with labels and dataset indices."""

    features: np.ndarray
    labels: np.ndarray
    indices: np.ndarray
    layer: str


@dataclass(frozen=True)
class Batch:
    """Training images as the network saw them, uint8 `(n, h, w, c)`, with the targets after mixing
    `(n, classes)`."""

    images: np.ndarray
    targets: np.ndarray


@dataclass(frozen=True)
class Answers:
    """Per image of a split: content hash, dataset index, label, probabilities `(n, classes)` and loss."""

    hashes: list[str]
    index: np.ndarray
    label: np.ndarray
    probabilities: np.ndarray
    loss: np.ndarray


class Run(Shown):
    """A run folder (see the file format in the documentation). Files are read when they are asked for.

    Raises:
        OpsinError: the folder holds no run, or one of a newer format.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not (self.path / "run.json").is_file():
            raise OpsinError(f"{self.path} is not a run: expected a folder with run.json, as opsin train writes it")
        self.info: dict[str, Any] = read_json(self.path / "run.json")
        if self.info.get("format", FORMAT) > FORMAT:
            raise OpsinError(f"{self.path} was written by opsin {self.info.get('opsin')}; update opsin to read it")

    def __repr__(self) -> str:
        return f"Run({self.path.as_posix()!r}, {self.status})"

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.resolve().name

    @property
    def status(self) -> str:
        """running, finished, stopped (can be resumed) or failed."""
        return self.info["status"]

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the scores."""
        return tuple(self.info["classes"])

    @cached_property
    def preprocess(self) -> Preprocess | None:
        """How a file becomes the network's input; None where a person's own loop was recorded."""
        from opsin.data.preprocess import Preprocess

        values = self.info.get("preprocess")
        return None if values is None else Preprocess.load(values)

    @cached_property
    def steps(self) -> list[dict[str, Any]]:
        """The lines of `steps.jsonl`."""
        return read_lines(self.path / "steps.jsonl")

    @cached_property
    def epochs(self) -> list[dict[str, Any]]:
        """The lines of `epochs.jsonl`."""
        return read_lines(self.path / "epochs.jsonl")

    @property
    def snapshot_steps(self) -> list[int]:
        """The steps that have a snapshot, ascending."""
        return sorted(int(path.stem) for path in (self.path / "snapshots").glob("[0-9]*.safetensors"))

    def snapshot(self, step: int) -> Snapshot:
        """The snapshot of a step.

        Raises:
            OpsinError: that step has none.
        """
        return Snapshot.load(self.path / "snapshots" / f"{step:08d}.safetensors")

    @cached_property
    def probe(self) -> Probe | None:
        """The watched images, or None where nothing was recorded."""
        path = self.path / "probe.safetensors"
        return Probe(**read_tensors(path)[0]) if path.exists() else None

    @property
    def embedding_epochs(self) -> list[int]:
        """The epochs whose embeddings were kept, ascending; epoch 0 is the untrained network."""
        return sorted(int(path.stem) for path in (self.path / "embeddings").glob("[0-9]*.safetensors"))

    def embeddings(self, epoch: int) -> Embedding:
        """Features of the fixed validation images after an epoch.

        Raises:
            OpsinError: that epoch has none.
        """
        arrays, metadata = read_tensors(self.path / "embeddings" / f"{epoch:04d}.safetensors")
        return Embedding(
            arrays["features"].astype(np.float32),
            arrays["labels"],
            arrays["indices"],
            metadata.get("layer", ""),
        )

    @property
    def loss_epochs(self) -> list[int]:
        """The epochs whose per-image training losses were kept, ascending."""
        return sorted(int(path.stem) for path in (self.path / "losses").glob("[0-9]*.safetensors"))

    def losses(self, epoch: int) -> np.ndarray:
        """float32 `(training images,)`: each image's loss when it was last trained on in that epoch, in the order of
        `dataset().train.indices`; NaN where balanced sampling did not draw it.

        Raises:
            OpsinError: that epoch has none.
        """
        return read_tensors(self.path / "losses" / f"{epoch:04d}.safetensors")[0]["loss"].astype(np.float32)

    @cached_property
    def batch(self) -> Batch | None:
        """The first augmented training batch, or None."""
        path = self.path / "batches" / "0000.safetensors"
        return Batch(**read_tensors(path)[0]) if path.exists() else None

    @cached_property
    def scores(self) -> Scores | None:
        """Scores on the test images, or None while there are none."""
        path = self.path / "scores.json"
        return Scores.load(path) if path.exists() else None

    def predictions(self) -> dict[str, Answers]:
        """Answers per image of the validation and test splits, by split; empty before the end of training."""
        import pyarrow.parquet as pq

        path = self.path / "predictions.parquet"
        if not path.exists():
            return {}
        table = pq.read_table(path)
        splits = np.array(table["split"].to_pylist())
        answers = {}
        for split in dict.fromkeys(splits.tolist()):
            part = table.filter(splits == split)
            answers[split] = Answers(
                hashes=part["hash"].to_pylist(),
                index=part["index"].to_numpy(),
                label=part["label"].to_numpy(),
                probabilities=np.array(part["probabilities"].to_pylist(), np.float32),
                loss=part["loss"].to_numpy(),
            )
        return answers

    def dataset(self) -> Dataset:
        """Open the data again that the run was trained on.

        Raises:
            OpsinError: it is gone, or its content has changed since.
        """
        from opsin.data.load import load_data

        about = self.info.get("data")
        if not about:
            raise OpsinError(f"{self.path} does not say what it was trained on; a recorded loop keeps no data source")
        if not about["source"]:
            raise OpsinError(f"{self.path} was trained on arrays in memory, which cannot be opened again from the run")
        data = load_data(**about["source"])
        if data.fingerprint != about["fingerprint"]:
            raise OpsinError(
                f"the data of {self.path} has changed since training ({len(data.labels)} images, fingerprint "
                f"{data.fingerprint[:12]}; expected {about['images']}, {about['fingerprint'][:12]})"
            )
        return data
