"""Attention weights as they flow through a network, whichever way it computes them.

What is caught are functions, not modules: the fused `scaled_dot_product_attention` (which never shows its weights, and
is computed step by step instead), `multi_head_attention_forward` behind `nn.MultiheadAttention`, and a softmax over the
tokens.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from opsin.errors import OpsinError
from opsin.explanation.grids import Grid, find_grid, prefix_tokens
from opsin.explanation.job import Job
from opsin.explanation.split import run_module
from opsin.models.classifier import evaluating
from opsin.models.weights import bare

SOFTMAX = frozenset({F.softmax, torch.softmax, torch.Tensor.softmax, torch.special.softmax})
CONVOLUTIONS = frozenset({F.conv1d, F.conv2d, F.conv3d, torch.conv1d, torch.conv2d, torch.conv3d})
_MULTI_HEAD = inspect.signature(F.multi_head_attention_forward)

Keep = Callable[[Tensor], Tensor]
"""Given the attention weights `(n, heads, tokens, tokens)` of a block, gives what the network goes on with."""


class _NoMap(Exception):
    """Why the attention of a network is no map of the picture."""


class CatchAttention(TorchFunctionMode):
    """Inside the block every attention of `images` pictures hands its weights to `keep` before they are used.

    Raises:
        _NoMap: there is attention whose weights are not of all tokens of a picture over all of them.
    """

    def __init__(self, images: int, keep: Keep) -> None:
        super().__init__()
        self._images = images
        self._keep = keep
        self.tokens = 0  # of every attention so far; 0 before the first

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            return self._fused(*args, **kwargs)
        if func is F.multi_head_attention_forward:
            return self._multi_head(_MULTI_HEAD.bind(*args, **kwargs))
        output = func(*args, **kwargs)
        if func in SOFTMAX and output.ndim > 2 and _last_axis(output, args, kwargs):
            return self._caught(output)
        if func in CONVOLUTIONS and self.tokens and max(args[1].shape[2:]) > 1:
            raise _NoMap("convolutions between its attention blocks move places too, which attention does not tell")
        return output

    def _fused(
        self, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
        is_causal: bool = False, *, scale: float | None = None, enable_gqa: bool = False,
    ) -> Tensor:  # fmt: skip
        """`softmax(q k' * scale + mask) v`, in float32 or wider as the fused kernels have it inside."""
        if enable_gqa:
            groups = query.shape[-3] // key.shape[-3]
            key, value = key.repeat_interleave(groups, -3), value.repeat_interleave(groups, -3)
        wide = torch.promote_types(query.dtype, torch.float32)
        scores = query.to(wide) @ key.to(wide).transpose(-2, -1)
        scores = scores * (query.shape[-1] ** -0.5 if scale is None else scale)
        if is_causal:
            attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        if attn_mask is not None:
            additive = attn_mask.dtype != torch.bool
            scores = scores + attn_mask if additive else scores.masked_fill(~attn_mask, -torch.inf)
        weights = self._caught(scores.softmax(dim=-1))
        return (F.dropout(weights, dropout_p) @ value.to(wide)).to(query.dtype)

    def _multi_head(self, call: inspect.BoundArguments) -> tuple[Tensor, Tensor | None]:
        """The weights are PyTorch's own; what follows them is computed again from the caught ones."""
        call.apply_defaults()
        given = call.arguments
        special = ("bias_k", "bias_v", "static_k", "static_v")
        if given["add_zero_attn"] or any(given[name] is not None for name in special) or given["query"].ndim != 3:
            raise _NoMap("its attention adds keys that are no tokens")
        asked, averaged = given["need_weights"], given["average_attn_weights"]
        given.update(need_weights=True, average_attn_weights=False)
        _, shown = F.multi_head_attention_forward(*call.args, **call.kwargs)
        assert shown is not None  # they were asked for
        weights = self._caught(shown)
        projection, bias = given["v_proj_weight"], given["in_proj_bias"]
        if not given["use_separate_proj_weight"]:
            projection = given["in_proj_weight"].chunk(3)[2]
        value = F.linear(given["value"], projection, None if bias is None else bias.chunk(3)[2])
        tokens, images, width = value.shape
        value = value.reshape(tokens, images, given["num_heads"], -1).permute(1, 2, 0, 3)
        joined = (weights @ value).permute(2, 0, 1, 3).reshape(-1, images, width)
        output = F.linear(joined, given["out_proj_weight"], given["out_proj_bias"])
        return output, (weights.mean(dim=1) if averaged else weights) if asked else None

    def _caught(self, weights: Tensor) -> Tensor:
        tokens, keys = weights.shape[-2:]
        if tokens != keys:
            raise _NoMap(f"it has attention of {tokens} over {keys} tokens, not of all over all")
        heads, rest = divmod(weights.numel(), max(self._images * tokens * tokens, 1))
        # (n, heads, t, t), or heads within the batch axis: (n * heads, t, t)
        whole = (len(weights) == self._images and weights.ndim == 4) or (weights.ndim == 3 and not rest)
        if not heads or not whole:
            raise _NoMap(f"it attends within windows of {tokens} places, and no window sees the whole picture")
        if self.tokens not in (0, tokens):
            raise _NoMap(f"its blocks have different numbers of tokens ({self.tokens} and {tokens})")
        self.tokens = tokens
        return self._keep(weights.reshape(self._images, heads, tokens, tokens)).reshape(weights.shape)


def catch_attention(job: Job, inputs: Tensor, keep: Keep) -> tuple[Tensor, Grid]:
    """Run the network on `inputs`, handing every block's attention weights to `keep`.

    No graph is built until `keep` switches gradients on; then it is built from there to the end.

    Returns:
        The logits, and how the tokens lie on the picture.

    Raises:
        OpsinError: the network has no attention over the whole picture; the message says why.
    """
    module = bare(job.model.module)
    try:
        with evaluating(module), torch.no_grad(), CatchAttention(len(inputs), keep) as caught:
            logits = job.model.read_output(run_module(job.model, module, inputs), len(inputs))
        if not caught.tokens:
            raise _NoMap("it computes no attention over tokens that could be caught")
        size = (inputs.shape[-2], inputs.shape[-1])
        grid = find_grid(inputs.new_empty(1, caught.tokens, 1), size, prefix_tokens(module))
        if grid is None:
            raise _NoMap(f"its {caught.tokens} tokens are no grid of places of a {size[0]} x {size[1]} picture")
    except _NoMap as reason:
        raise OpsinError(
            f"no attention map of {job.model.label} can be had: {reason}; use grad_cam, which needs none"
        ) from reason
    return logits, grid


def _last_axis(output: Tensor, args: Any, kwargs: Any) -> bool:
    axis = kwargs.get("dim", args[1] if len(args) > 1 else None)
    return isinstance(axis, int) and axis % output.ndim == output.ndim - 1
