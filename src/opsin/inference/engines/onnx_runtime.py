"""The engine `onnxruntime`: the network exported to ONNX in memory and run by ONNX Runtime on the CPU."""

from __future__ import annotations

import contextlib
import copy
import logging
import warnings
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from opsin.models.black_box import OnnxScores
from opsin.models.classifier import Classifier
from opsin.models.weights import bare


class _Logits(nn.Module):
    """The network with its logits as the only output, also where it answers with a dictionary."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.network = copy.deepcopy(bare(model.module)).eval().requires_grad_(False)
        self._read = model.read_output

    def forward(self, images: Tensor) -> Tensor:
        return self._read(self.network(images))


def build(model: Classifier, inputs: Tensor) -> Callable[[Tensor], object]:
    """Export a copy of the network for any number of inputs of this size, and open it."""
    # two images: an export with one would make 1 the only number that the graph takes
    example = inputs[:1].expand(2, *inputs.shape[1:]).contiguous()
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            _Logits(model),
            (example,),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("images", min=1)},),
            verbose=False,
        )
    assert program is not None  # with dynamo=True and no file it gives a program
    scores = OnnxScores(program.model_proto.SerializeToString(), threads=torch.get_num_threads())
    return lambda batch: torch.from_numpy(scores(batch.numpy()))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """An exporter warns about things that a caller can do nothing about; a failure is raised all the same."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
