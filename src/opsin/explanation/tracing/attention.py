"""Scaled dot-product attention in three steps that can be looked at: scores, weights, and the weighted sum.

    Attention(Q, K, V) = softmax(Q K^T / sqrt(d) + mask) V        (Vaswani et al. 2017, Attention is all you need)

PyTorch computes them in one operation, which gives no weights.
"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from opsin.explanation.tracing.calls import Call, Ref


def attention_scores(
    query: Tensor, key: Tensor, attn_mask: Tensor | None, scale: float | None, is_causal: bool
) -> Tensor:
    """`(..., queries, keys)`: query times key, scaled, and the mask added; -inf where the mask forbids."""
    scores = query @ key.mT * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is None:
        return scores
    return scores.masked_fill(~attn_mask, -math.inf) if attn_mask.dtype == torch.bool else scores + attn_mask


def softmax(self: Tensor, dim: int) -> Tensor:
    """As PyTorch's, in a form that takes its arguments by name."""
    return self.softmax(dim)


def with_steps(call: Call) -> list[Call]:
    """The calls of scores and weights, and the attention itself."""
    given = call.arguments
    if call.operation != "scaled_dot_product_attention" or given.get("enable_gqa"):
        return [call]
    roles = ("query", "key", "attn_mask", "scale", "is_causal")
    scores = Call(
        f"{call.name}.scores", call.module, "attention_scores", attention_scores,
        {role: given[role] for role in roles}, turn=call.turn,
    )  # fmt: skip
    weights = Call(
        f"{call.name}.weights", call.module, "softmax", softmax, {"self": Ref(scores.name), "dim": -1}, turn=call.turn
    )
    return [scores, weights, dataclasses.replace(call, helper=Ref(weights.name))]
