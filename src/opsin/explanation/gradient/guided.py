"""Guided backpropagation: behind every ReLU-like function only what is positive both ways passes back."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from opsin.explanation.cam.gradient_cams import grad_cam
from opsin.explanation.gradient.input_gradients import input_gradients
from opsin.explanation.job import Answer, Job

# However they are called: modules such as nn.ReLU6 end in these functions too.
RELU_LIKE = frozenset({
    F.relu, F.relu_, torch.relu, torch.relu_, torch.Tensor.relu, torch.Tensor.relu_, F.relu6, F.hardtanh, F.hardtanh_,
    F.hardswish, F.silu, F.gelu, F.elu, F.elu_, F.celu, F.selu, F.leaky_relu, F.leaky_relu_, F.mish, F.hardsigmoid,
    F.softplus, F.rrelu, F.prelu,
})  # fmt: skip


class GuidedRules(TorchFunctionMode):
    """Inside the block the gradient behind every ReLU-like function is clamped at zero before it passes back through
    the function itself (Springenberg et al. 2015).

    For ReLU that is the paper's rule; for its relatives (ReLU6, Hardswish, SiLU, GELU ...) the function's own
    derivative takes the place of the step, which is the natural reading.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        if func in RELU_LIKE and isinstance(output, Tensor) and output.requires_grad:
            # a view behind the function, so that an in-place call is caught too
            output.register_hook(lambda gradient: gradient.clamp(min=0))
        return output


def guided_backprop(job: Job) -> Answer:
    """Guided backpropagation (Springenberg et al. 2015), summed over channels. It reconstructs edges of the input more
    than it explains the class: check it with model randomisation before believing it (Adebayo et al. 2018)."""
    gradients, _, targets = input_gradients(job, job.inputs, around=GuidedRules)
    return Answer([gradients.sum(dim=2)], targets, evaluations=1 + targets.count)


def guided_grad_cam(job: Job) -> Answer:
    """Guided backpropagation times Grad-CAM at each layer (Selvaraju et al. 2017, section 3.2)."""
    guided = guided_backprop(job)
    coarse = grad_cam(job)
    maps = [guided.maps[0] * layer_maps for layer_maps in coarse.maps]
    return Answer(maps, coarse.targets, evaluations=guided.evaluations + coarse.evaluations)
