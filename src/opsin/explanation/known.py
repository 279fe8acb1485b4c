"""What was found out about a network once: its layer to look at, and the memory layout that it takes."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from opsin.explanation.split import normal_mode
from opsin.models.black_box import BlackBox
from opsin.models.classifier import Classifier, evaluating
from opsin.models.weights import bare

Found = TypeVar("Found")

_KNOWN: weakref.WeakKeyDictionary[nn.Module, dict[Hashable, Any]] = weakref.WeakKeyDictionary()


def remembered(model: Classifier, inputs: Tensor, question: Hashable, find: Callable[[], Found]) -> Found:
    """What `find` answers, asked once per network, shape, type and device of the inputs, as long as the network lives
    and has the same parts."""
    module = bare(model.module)
    parts = tuple(type(part) for part in module.modules())
    answers = _KNOWN.setdefault(module, {})
    key = (question, parts, inputs.shape[1:], inputs.dtype, inputs.device)
    if key not in answers:
        answers[key] = find()
    return answers[key]


def in_faster_layout(model: Classifier, inputs: Tensor) -> Tensor:
    """The same images with channels last in memory, in which convolutions are faster, where the network takes them so.

    One that reads the memory of its maps in order (`view` behind a convolution) does not, and gets them as they are.
    """
    if inputs.ndim != 4 or inputs.shape[1] == 1 or isinstance(model, BlackBox):
        return inputs
    takes = remembered(model, inputs, "channels last", lambda: _takes_channels_last(model, inputs[:1]))
    return inputs.contiguous(memory_format=torch.channels_last) if takes else inputs


def _takes_channels_last(model: Classifier, one: Tensor) -> bool:
    module = bare(model.module)
    with evaluating(module), normal_mode(), torch.no_grad():
        try:
            model.read_output(module(one.contiguous(memory_format=torch.channels_last)), 1)
        except RuntimeError:
            # whether it is the layout or the images themselves that it cannot take shows in the pass that follows
            return False
    return True
