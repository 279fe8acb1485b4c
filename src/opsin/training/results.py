"""After training: the best weights' answers and scores."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from opsin.data.dataset import Dataset
from opsin.files import replacing
from opsin.inference.answers import answer
from opsin.inference.evaluate import score
from opsin.models.classifier import Classifier
from opsin.models.weights import load_weights
from opsin.training.recipe import Recipe
from opsin.training.view import View


def write_results(model: Classifier, data: Dataset, recipe: Recipe, out: Path, view: View) -> None:
    """Load the best weights into the model and write `predictions.parquet` and, where there are test images,
    `scores.json`. The test images decide nothing: thresholds and temperature come from validation."""
    load_weights(model.module, out / "weights" / "best.safetensors")
    model.origin = out  # from here on it has a history: what it was trained and tuned on is left out of its scores
    answers = {
        split.name: answer(model, data, split.indices, view.work, f"answering {split.name} images")
        for split in (data.validation, data.test)
    }
    write_predictions(data, answers, out / "predictions.parquet")
    if not len(data.test):
        view.message("no test images: no scores; see the validation accuracy above")
        return
    view.message("scoring the test images and the baselines")
    rows = np.concatenate([answers["validation"], answers["test"]])
    row_of = {index: row for row, index in enumerate([*data.validation.indices.tolist(), *data.test.indices.tolist()])}

    def known(_data: Dataset, indices: np.ndarray) -> np.ndarray:
        return rows[[row_of[index] for index in indices.tolist()]]

    score(model, data.test, known, seed=recipe.seed).save(out / "scores.json")


def write_predictions(data: Dataset, answers: Mapping[str, np.ndarray], path: Path) -> None:
    """Per image of validation and test: split, content hash, dataset index, label, probabilities and loss (nats).

    `answers` holds the log probabilities float32 `(n, classes)` of each of these splits.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            ("split", pa.string()),
            ("hash", pa.string()),
            ("index", pa.int64()),
            ("label", pa.int64()),
            ("probabilities", pa.list_(pa.float32())),
            ("loss", pa.float32()),
        ]
    )
    tables = []
    for split in (data.validation, data.test):
        given = answers[split.name]
        columns = {
            "split": [split.name] * len(split),
            "hash": list(split.hashes),
            "index": split.indices,
            "label": split.labels,
            "probabilities": list(np.exp(given)),
            "loss": -given[np.arange(len(split)), split.labels],
        }
        tables.append(pa.table(columns, schema=schema))
    with replacing(path) as temporary:
        pq.write_table(pa.concat_tables(tables), temporary)
