"""The gradient CAMs: each is one formula for how the channels of a layer are weighted.

`activations` and `gradients` (of a score with respect to them) are `(n, c, h, w)`. Each formula gives `(n, h, w)`,
before the final ReLU. A quotient 0/0 is 0.
"""

from __future__ import annotations

import torch
from torch import Tensor


def grad_cam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Channel weights are the mean gradients over the places (Selvaraju et al. 2017, equations 1 and 2)."""
    weights = gradients.mean(dim=(-2, -1))
    return torch.einsum("nc,nchw->nhw", weights, activations)


def grad_cam_pp(activations: Tensor, gradients: Tensor) -> Tensor:
    """Channel weights are sums of the positive gradients, each place weighted by alpha (Chattopadhay et al. 2018,
    equations 10 and 19, for a score that is the exponential of the logit, which cancels)."""
    squares, cubes = gradients.square(), gradients.pow(3)
    bottom = 2 * squares + activations.sum(dim=(-2, -1), keepdim=True) * cubes
    alpha = _quotient(squares, bottom)
    weights = (alpha * gradients.relu()).sum(dim=(-2, -1))
    return torch.einsum("nc,nchw->nhw", weights, activations)


def hires_cam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Gradients times activations, place by place (Draelos and Carin 2020)."""
    return (activations * gradients).sum(dim=1)


def layer_cam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Positive gradients times activations, place by place (Jiang et al. 2021, equations 6 and 7)."""
    return (activations * gradients.relu()).sum(dim=1)


def xgrad_cam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Channel weights are the gradients averaged with the activations' shares (Fu et al. 2020, equation 7)."""
    weights = _quotient((activations * gradients).sum(dim=(-2, -1)), activations.sum(dim=(-2, -1)))
    return torch.einsum("nc,nchw->nhw", weights, activations)


def _quotient(top: Tensor, bottom: Tensor) -> Tensor:
    zero = bottom == 0
    return torch.where(zero, torch.zeros_like(top), top / torch.where(zero, torch.ones_like(bottom), bottom))
