"""After training: the best weights' answers and scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from opsin.data.dataset import Dataset
from opsin.files import replacing
from opsin.inference.evaluate import evaluate
from opsin.models.classifier import Classifier
from opsin.models.weights import load_weights
from opsin.training.recipe import Recipe
from opsin.training.view import View


def write_results(model: Classifier, data: Dataset, recipe: Recipe, out: Path, view: View) -> None:
    """Load the best weights into the model and write `predictions.parquet` and, where there are test images,
    `scores.json`. The test images decide nothing: thresholds and temperature come from validation."""
    load_weights(model.module, out / "weights" / "best.safetensors")
    write_predictions(model, data, out / "predictions.parquet")
    if not len(data.test):
        view.message("no test images: no scores; see the validation accuracy above")
        return
    view.message("scoring the test images and the baselines")
    evaluate(model, data, seed=recipe.seed).save(out / "scores.json")


def write_predictions(model: Classifier, data: Dataset, path: Path) -> None:
    """Per image of validation and test: split, content hash, dataset index, label, probabilities and loss (nats)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    assert model.preprocess is not None
    columns: dict[str, list[object]] = {
        name: [] for name in ("split", "hash", "index", "label", "probabilities", "loss")
    }
    for split in (data.validation, data.test):
        if not len(split):
            continue
        inputs = model.preprocess.normalise(split.pixels(model.preprocess))
        logits = model.logits(inputs).numpy().astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        log_probabilities = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        loss = -log_probabilities[np.arange(len(split)), split.labels]
        columns["split"] += [split.name] * len(split)
        columns["hash"] += list(split.hashes)
        columns["index"] += split.indices.tolist()
        columns["label"] += split.labels.tolist()
        columns["probabilities"] += np.exp(log_probabilities).astype(np.float32).tolist()
        columns["loss"] += loss.astype(np.float32).tolist()
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
    with replacing(path) as temporary:
        pq.write_table(pa.table(columns, schema=schema), temporary)
