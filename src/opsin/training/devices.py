"""Where to compute."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from opsin.errors import OpsinError


def resolve_device(name: str) -> torch.device:
    """The device of a recipe: `auto` takes CUDA, then MPS, then the CPU.

    Raises:
        OpsinError: the name is unknown, or the device is not there.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise OpsinError(f"device {name!r} cannot be used here; give cpu, cuda, mps or auto") from error
    return device


def check_amp(device: torch.device) -> None:
    """Refuse mixed precision where it would only be slower.

    Raises:
        OpsinError: the device is a CPU without bfloat16 instructions (AVX512-BF16 or AMX).
    """
    if device.type != "cpu":
        return
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
    if not (supported or getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)()):
        raise OpsinError("amp=True would only slow training down: this CPU has no bfloat16 instructions; leave amp out")


@contextlib.contextmanager
def flushed_denormals() -> Iterator[None]:
    """Within the block denormal numbers count as 0: they make convolutions tens of times slower."""
    flushed_before = not bool(torch.tensor(1e-310, dtype=torch.float64) > 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(flushed_before)
