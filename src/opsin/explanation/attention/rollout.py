"""Attention rollout, plain and weighted with gradients: attention followed through all blocks, down to the patches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from opsin.errors import OpsinError
from opsin.explanation.attention.catching import catch_attention
from opsin.explanation.grids import Grid
from opsin.explanation.job import Answer, Job, enlarge
from opsin.explanation.split import normal_mode
from opsin.explanation.targets import Targets


def attention_rollout(job: Job) -> Answer:
    """Attention rollout (Abnar and Zuidema 2020, equation 1): the product over the blocks of `(A + I) / 2`, A being a
    block's attention averaged over its heads; of it the row of the token that the classifier reads.

    The same for every class. Which tokens are read (the class token; with a distillation token both; without either all
    patches) is seen from a score's gradient, on one image; of several the rows are averaged.
    """
    blocks: list[Tensor] = []

    def look(weights: Tensor) -> Tensor:
        blocks.append(weights.float().mean(dim=1))
        return weights

    logits, grid = catch_attention(job, job.inputs, look)
    targets = job.resolve(logits)
    first, one, _ = _with_graph(job, job.inputs[:1])
    (gradient,) = _gradients(job, one, targets.rows(slice(1)), 0, first[-1:])
    row = _read_out(job, gradient).expand(len(logits), -1)
    for block in reversed(blocks):
        row = (_times(row, block) + row) / 2
    maps = _maps(row[:, None], grid, job.size).expand(-1, targets.count, -1, -1)
    return Answer([maps], targets, evaluations=1 + -(-2 // len(logits)))


def grad_attention_rollout(job: Job) -> Answer:
    """Gradient-weighted attention (Chefer et al. 2021, Generic attention-model explainability, equations 5 and 6): from
    `R = I` on every block adds `mean over heads of (A * dS/dA)+` times R, S being the score; of R the row of the token
    that the classifier reads.

    One pass serves all scores, and each takes one pass back. Where several tokens are read, their rows are averaged. I
    is taken away in the end (equation 8): that a patch is read is no evidence by itself.
    """
    blocks, logits, grid = _with_graph(job, job.inputs)
    targets = job.resolve(logits.detach())
    rows = []
    for column in range(targets.count):
        gradients = _gradients(job, logits, targets, column, blocks)
        start = row = _read_out(job, gradients[-1]).expand(len(logits), -1)
        for weights, gradient in zip(reversed(blocks), reversed(gradients), strict=True):
            row = row + _times(row, (weights.detach() * gradient).relu().float().mean(dim=1))
        rows.append(row - start)
    return Answer([_maps(torch.stack(rows, dim=1), grid, job.size)], targets, evaluations=1 + targets.count)


def _with_graph(job: Job, inputs: Tensor) -> tuple[list[Tensor], Tensor, Grid]:
    """Every block's attention weights `(n, heads, tokens, tokens)`, and the logits as a function of them. The graph
    begins at the first block's weights."""
    blocks: list[Tensor] = []

    def keep(weights: Tensor) -> Tensor:
        torch.set_grad_enabled(True)  # until the pass ends
        kept = weights if weights.requires_grad else weights.detach().requires_grad_(True)
        blocks.append(kept)
        return kept.clone()  # an in-place operation behind the attention changes the copy

    with normal_mode():
        logits, grid = catch_attention(job, inputs, keep)
    return blocks, logits, grid


def _gradients(job: Job, logits: Tensor, targets: Targets, column: int, blocks: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Of one target's scores with respect to each block's weights. Images do not mix: their sum serves all."""
    if not logits.requires_grad:
        raise OpsinError(
            f"the scores of {job.model.label} have no gradient with respect to its attention: the network switches "
            "gradients off inside forward or computes on without PyTorch; use a perturbation method such as rise"
        )
    with normal_mode(), torch.enable_grad():
        score = targets.scores(logits)[:, column].sum()
        return torch.autograd.grad(score, blocks, retain_graph=True, materialize_grads=True)


def _read_out(job: Job, gradient: Tensor) -> Tensor:
    """`(tokens,)`: equal shares of 1 for the tokens whose attention in the last block reaches the score.

    Behind the last block tokens no longer meet, so that these are the ones that the classifier reads.
    """
    read = gradient.abs().sum(dim=(0, 1, 3)) > 0
    if not bool(read.any()):
        raise OpsinError(
            f"the scores of {job.model.label} do not depend on its last attention, so that there is no token whose "
            "attention could be followed; use a perturbation method such as rise"
        )
    return read.float() / read.sum()


def _times(row: Tensor, block: Tensor) -> Tensor:
    """`(n, tokens)` times `(n, tokens, tokens)`: one row of a product of matrices costs no product of matrices."""
    return (row.unsqueeze(1) @ block).squeeze(1)


def _maps(rows: Tensor, grid: Grid, size: tuple[int, int]) -> Tensor:
    """`(n, t, tokens)` to `(n, t, h, w)`: the patches on the picture."""
    return enlarge(grid.maps(rows.unsqueeze(-1))[:, :, 0], size)
