"""What every measure looks at: images on the device, and the score that is explained, in bounded batches."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from opsin.errors import OpsinError
from opsin.explanation.explain import explain
from opsin.explanation.guards import InputWarning, MapWarning, ModeWarning
from opsin.explanation.targets import Targets
from opsin.inference.answers import as_logits
from opsin.inference.engines.engine import Engine, pass_size
from opsin.models.classifier import Classifier
from opsin.records import Explanation

Score = Literal["probability", "logit"]
SCORES: tuple[Score, ...] = get_args(Score)


@dataclass(frozen=True)
class Subject:
    """Images, and the score of each that an Explanation is about.

    Attributes:
        model: the Classifier.
        inputs: float `(n, c, h, w)` on the network's device.
        targets: one class per image, and perhaps one against it.
        score: "probability": softmax of the class, or, against another class, of the first among the two; "logit":
            the logit, or the difference of the two.
        engine: what runs the model on changed images; None: the model itself.
    """

    model: Classifier
    inputs: Tensor
    targets: Targets
    score: Score = "probability"
    engine: Engine | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the inputs in pixels."""
        return self.inputs.shape[-2], self.inputs.shape[-1]

    def part(self, rows: slice) -> Subject:
        """Some of the images."""
        return dataclasses.replace(self, inputs=self.inputs[rows], targets=self.targets.rows(rows))

    def scores(self, images: Tensor, rows: Tensor) -> Tensor:
        """float64 `(m,)` on the CPU: scores of `images` `(m, c, h, w)`, each a changed copy of the image `rows[i]`."""
        run = self.engine.scores if self.engine is not None else self.model.logits
        logits = run(images).double().cpu()
        targets = self.targets.rows(rows.cpu())
        if self.score == "logit":
            return targets.scores(logits)[:, 0]
        logits = as_logits(logits)
        if targets.against is not None:
            return targets.scores(logits).sigmoid()[:, 0]
        return targets.scores(logits.softmax(dim=1))[:, 0]

    def score_each(self, count: int, build: Callable[[Tensor], tuple[Tensor, Tensor]]) -> Tensor:
        """float64 `(count,)`: scores of that many changed images. `build` is given numbers below `count` and makes
        their images and rows, a bounded number at a time."""
        numbers = torch.arange(count, device=self.inputs.device).split(pass_size(self.inputs))
        return torch.cat([self.scores(*build(part)) for part in numbers])


def subject_of(explanation: Explanation, model: Classifier, score: Score) -> Subject:
    """The images and targets of an Explanation, for the model that it is of.

    Raises:
        OpsinError: the explanation is of another model or is damaged.
    """
    if score not in SCORES:
        raise OpsinError(f"score was given as {score!r}; expected {' or '.join(SCORES)}")
    if explanation.inputs.ndim != 4:
        raise OpsinError(f"the inputs have shape {explanation.inputs.shape}; only images (n, c, h, w) can be checked")
    if not len(explanation):
        raise OpsinError("the explanation holds no image; explain at least one")
    for name, values in (("maps", explanation.maps), ("inputs", explanation.inputs)):
        if not np.isfinite(values).all():
            raise OpsinError(f"the {name} hold NaN or infinite values; explain the images again")
    inputs, _, _ = model.inputs(torch.from_numpy(explanation.inputs))
    width = model.logits(inputs[:1]).shape[1]
    if explanation.classes and explanation.classes != model.classes:
        raise OpsinError(
            f"the explanation is of a model with the classes {_short(explanation.classes)}, but {model.label} has "
            f"{_short(model.classes or ())}; give the model that was explained"
        )
    columns = [explanation.targets, *([] if explanation.against is None else [explanation.against])]
    for column in columns:
        if len(column) != len(explanation) or column.min() < 0 or column.max() >= width:
            raise OpsinError(
                f"the targets {column.tolist()[:8]} are not one class below {width} for each of the {len(explanation)} "
                "images; explain them again"
            )
    classes, *against = (torch.from_numpy(column.astype(np.int64))[:, None] for column in columns)
    return Subject(model, inputs, Targets(classes, against[0] if against else None), score)


def explain_again(
    explanation: Explanation, model: Classifier, inputs: Tensor, rows: slice, method: str | Callable[..., Any]
) -> np.ndarray:
    """float32 `(n, h, w)`: the maps that the same method gives with the same settings, for a changed model or changed
    inputs of the images `rows`, and for the same targets."""
    classes, against = explanation.targets[rows], explanation.against
    target: Any = classes.tolist() if against is None else (int(classes[0]), int(against[rows][0]))
    found = _quiet_explain(explanation, model, inputs, target, method)
    assert isinstance(found, Explanation)  # one target, one layer
    return found.maps


def explain_classes(
    explanation: Explanation, model: Classifier, inputs: Tensor, classes: np.ndarray, method: str | Callable[..., Any]
) -> np.ndarray:
    """float32 `(n, k, h, w)`: the maps that the same method gives with the same settings for other inputs and the
    classes int64 `(n, k)`."""
    found = _quiet_explain(explanation, model, inputs, classes.tolist(), method)
    assert isinstance(found, list)  # several targets
    return np.stack([item.maps for item in found], axis=1)


def _quiet_explain(
    explanation: Explanation, model: Classifier, inputs: Tensor, target: Any, method: str | Callable[..., Any]
) -> Explanation | list[Explanation]:
    with warnings.catch_warnings():
        for kind in (MapWarning, InputWarning, ModeWarning):
            warnings.simplefilter("ignore", kind)
        layer, seed, options = explanation.layer or None, explanation.seed, explanation.options
        return explain(model, inputs, method, target, layer, seed, **options)


def _short(classes: tuple[str, ...]) -> str:
    shown = ", ".join(classes[:4])
    return f"({shown}{', ...' if len(classes) > 4 else ''})"
