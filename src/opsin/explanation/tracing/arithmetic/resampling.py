"""Operations that are a weighted sum of their input, with weights that follow from the places: resizing by
interpolation. The weights are the derivatives, which are exact for such a sum."""

from __future__ import annotations

import numpy as np
import torch

from opsin.explanation.tracing.arithmetic.opening import Arithmetic, Opening, products


def interpolated(opening: Opening) -> Arithmetic:
    """The numbers that take part, each times its weight."""
    role = "self" if opening.has("self") else "input"
    inputs = opening.operand(role)
    with torch.inference_mode(False), torch.enable_grad():
        leaf = inputs.value.detach().clone().double().requires_grad_()
        result = opening.call.compute({role: leaf}, opening.tensor)[opening.place]
        (gradient,) = torch.autograd.grad(result, leaf)
    places = gradient.nonzero().cpu().numpy().astype(np.int64)
    weights = gradient[gradient != 0].cpu().numpy()
    return Arithmetic(products(inputs, places, weights), 0.0, "weighted mean of the nearest numbers")
