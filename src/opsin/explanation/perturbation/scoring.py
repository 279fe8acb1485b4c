"""Many changed copies of every image through an Engine, in passes of bounded size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from opsin.errors import OpsinError
from opsin.explanation.job import Job
from opsin.explanation.targets import Targets
from opsin.inference.engines.engine import EAGER, Engine, open_engine, pass_size
from opsin.models.black_box import BlackBox

Output = Literal["logits", "probabilities"]

Build = Callable[[Tensor, Tensor], Tensor]
"""Numbers of images `(b,)` and of variants `(b,)` to changed inputs `(b, c, h, w)`."""


@dataclass(frozen=True)
class Scorer:
    """Scores changed copies of one Job's images.

    Attributes:
        job: the images.
        engine: what runs the network.
        targets: t scores per image.
        output: whether a score is a logit or a probability.
    """

    job: Job
    engine: Engine
    targets: Targets
    output: Output

    @property
    def base(self) -> Tensor:
        """float32 `(n, t)`: the scores of the unchanged images."""
        return self.targets.scores(self._read(self.engine.logits))

    @property
    def overhead(self) -> int:
        """Passes per image beside the variants: the unchanged image, and once more where two engines were compared."""
        return 1 if self.engine.name == EAGER else 2

    @property
    def used(self) -> dict[str, Any]:
        """What is told about the engine."""
        return self.engine.used

    def passes(self, variants: int, build: Build) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Score every variant of every image: image numbers `(b,)`, variant numbers `(b,)` and scores `(b, t)`.

        All images of a variant come together, so that what a variant needs is made once for all of them.
        """
        inputs = self.job.inputs
        images, step = len(inputs), pass_size(inputs)
        for start in range(0, images * variants, step):
            pairs = torch.arange(start, min(start + step, images * variants), device=inputs.device)
            image, variant = pairs % images, pairs // images
            logits = self.engine.scores(build(image, variant))
            yield image, variant, self.targets.rows(image.cpu()).scores(self._read(logits))

    def table(self, variants: int, build: Build) -> Tensor:
        """float32 `(n, variants, t)`: all scores of `passes`."""
        found = self.base.new_zeros(len(self.job.inputs), variants, self.targets.count)
        for image, variant, scores in self.passes(variants, build):
            found[image, variant] = scores
        return found

    def _read(self, logits: Tensor) -> Tensor:
        return logits if self.output == "logits" else logits.softmax(dim=1)


def open_scorer(job: Job, variants: int, engine: str, output: str) -> Scorer:
    """Resolve the targets and open an engine for `variants` passes per image.

    The scores of a black box are taken as they are: nothing says whether they are logits.

    Raises:
        OpsinError: there is no such engine or output.
    """
    if output not in ("logits", "probabilities"):
        raise OpsinError(f"output was given as {output!r}; expected logits or probabilities")
    opened = open_engine(job.model, job.inputs, engine, evaluations=variants)
    kind: Output = "probabilities" if output == "probabilities" and not isinstance(job.model, BlackBox) else "logits"
    return Scorer(job, opened, job.resolve(opened.logits), kind)


def start_from(inputs: Tensor, baseline: float | None) -> Tensor:
    """What stands for "nothing there", as `(n, c, 1, 1)`: one value of the preprocessed input, or (None) each image's
    own mean per channel."""
    if baseline is None:
        return inputs.mean(dim=(-2, -1), keepdim=True)
    return inputs.new_full((len(inputs), inputs.shape[1], 1, 1), baseline)
