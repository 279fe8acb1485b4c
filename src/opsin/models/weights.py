"""Weights: safetensors in and out, PyTorch files in without running their code, and why they do not fit."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from opsin.errors import OpsinError, first_line
from opsin.files import replacing

# Where training scripts keep the state dict inside what they save, and the prefixes that wrappers put before its keys.
NESTS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights", "params")
PREFIXES = ("module.", "_orig_mod.", "model.", "net.")
SHOWN = 3


def bare(module: nn.Module) -> nn.Module:
    """The network inside `DataParallel`, `DistributedDataParallel` and `torch.compile`."""
    while True:
        if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
            module = module.module
        elif isinstance(getattr(module, "_orig_mod", None), nn.Module):
            module = module._orig_mod  # type: ignore[assignment]
        else:
            return module


def save_weights(
    module: nn.Module,
    path: str | Path,
    metadata: Mapping[str, str] | None = None,
    state: Mapping[str, Any] | None = None,
) -> None:
    """Write the module's tensors as safetensors, atomically. Tensors that share memory are written once and
    named as tied. With `state`, an earlier `state_dict()` of the same module, those are written instead.

    Raises:
        OpsinError: the state holds something that is not a tensor, or the file cannot be written.
    """
    kept: dict[str, Tensor] = {}
    tied: dict[str, str] = {}
    owners: dict[tuple[Any, ...], str] = {}
    for key, value in (bare(module).state_dict() if state is None else state).items():
        if not isinstance(value, Tensor):
            raise OpsinError(
                f"{key} of {type(bare(module)).__name__} is a {type(value).__name__}; only tensors can be "
                "saved: keep it out of the state dict"
            )
        identity = _identity(value)
        if value.numel() and identity in owners:
            tied[key] = owners[identity]
            continue
        owners[identity] = key
        kept[key] = value.detach().cpu().contiguous().clone()
    described = dict(metadata or {})
    if tied:
        described["tied"] = json.dumps(tied)
    with replacing(path) as temporary:
        save_file(kept, temporary, metadata=described)


def load_weights(module: nn.Module, path: str | Path) -> dict[str, str]:
    """Copy the weights of a file into the module, all of them or none.

    Args:
        module: the network; wrappers around it (`DataParallel`, compiled) are seen through.
        path: `.safetensors`, or a PyTorch file (`.pth`, `.pt`, `.ckpt`, `.bin`), of which only tensors are
            read: no code in it can run. A state dict inside another dictionary is found, and prefixes such as
                `module.` are taken off.

    Returns:
        The metadata of a safetensors file, otherwise an empty dictionary.

    Raises:
        OpsinError: the file is missing, damaged, holds more than tensors, or does not fit: the error names
            the layers with given and expected shapes.
    """
    path = Path(path)
    state, metadata = read_state(path)
    module = bare(module)
    state = _fit_prefix(state, module.state_dict())
    for key, owner in json.loads(metadata.get("tied", "{}")).items():
        if owner in state:
            state.setdefault(key, state[owner])
    _require_fit(module, state, path)
    module.load_state_dict(state, strict=False)
    return metadata


def read_state(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a weights file on the CPU, and the metadata of a safetensors file.

    Raises:
        OpsinError: the file is missing, damaged, or holds more than tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise OpsinError(f"there is no weights file {path}; give the path of a .safetensors or .pth file")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    return _state_in(_read_pickle(path), path), {}


def read_metadata(path: str | Path) -> dict[str, str]:
    """The metadata of a safetensors file, without its tensors.

    Raises:
        OpsinError: the file is missing or is not a safetensors file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise OpsinError(f"cannot read {path}: {error}; expected a .safetensors file") from error


def _identity(tensor: Tensor) -> tuple[Any, ...]:
    storage = tensor.untyped_storage().data_ptr()
    return (
        str(tensor.device),
        storage,
        tensor.storage_offset(),
        tuple(tensor.shape),
        tensor.stride(),
        tensor.dtype,
    )


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise OpsinError(f"cannot read {path}: {error}; it is damaged or not a .safetensors file") from error


def _read_pickle(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        if "weights_only" in str(error).lower() or "unsupported" in str(error).lower():
            raise OpsinError(
                f"{path} holds more than tensors and was not opened, because opening it could run code; save "
                "it again with torch.save(model.state_dict(), path)"
            ) from error
        reason = first_line(error)
        raise OpsinError(
            f"cannot read {path}: {reason}; it is damaged or not a PyTorch file: save it again with "
            "torch.save(model.state_dict(), path)"
        ) from error


def _state_in(loaded: Any, path: Path) -> dict[str, Tensor]:
    """The state dict in what a training script saved, possibly inside other dictionaries."""
    for _ in range(3):
        if not isinstance(loaded, Mapping):
            break
        tensors = {str(key): value for key, value in loaded.items() if isinstance(value, Tensor)}
        if tensors:
            return tensors
        nest = next((key for key in NESTS if isinstance(loaded.get(key), Mapping)), None)
        if nest is None:
            break
        loaded = loaded[nest]
    found = (
        f"the keys {', '.join(map(str, list(loaded)[:5]))}" if isinstance(loaded, Mapping) else type(loaded).__name__
    )
    raise OpsinError(
        f"{path} holds {found or 'nothing'}; expected a state dict, or one under {' or '.join(NESTS[:4])}: "
        "save it with torch.save(model.state_dict(), path)"
    )


def _fit_prefix(state: dict[str, Tensor], expected: Mapping[str, Any]) -> dict[str, Tensor]:
    """Take off prefixes that wrappers put before every key, as long as the network itself does not have them."""
    changed = True
    while changed and state:
        changed = False
        for prefix in PREFIXES:
            if all(key.startswith(prefix) for key in state) and not any(key.startswith(prefix) for key in expected):
                state = {key.removeprefix(prefix): value for key, value in state.items()}
                changed = True
    return state


def _require_fit(module: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    expected = {key: value for key, value in module.state_dict().items() if isinstance(value, Tensor)}
    lazy = {key for key, value in expected.items() if is_lazy(value)}
    present = {_identity(value) for key, value in expected.items() if key in state and key not in lazy}
    shapes = [
        f"{key} is {tuple(state[key].shape)}, expected {tuple(value.shape)}"
        for key, value in expected.items()
        if key in state and key not in lazy and state[key].shape != value.shape
    ]
    # A tensor that shares its memory with one that is there need not be there itself; counters of old files
    # are optional.
    missing = [
        key if key in lazy else f"{key} {tuple(value.shape)}"
        for key, value in expected.items()
        if key not in state
        and not key.endswith("num_batches_tracked")
        and (key in lazy or _identity(value) not in present)
    ]
    surplus = [f"{key} {tuple(value.shape)}" for key, value in state.items() if key not in expected]
    if shapes or missing or surplus:
        problems = [
            f"{len(shapes)} of another shape: {_few(shapes, '; ')}" if shapes else "",
            f"{len(missing)} missing: {_few(missing)}" if missing else "",
            f"{len(surplus)} unknown: {_few(surplus)}" if surplus else "",
        ]
        raise OpsinError(
            f"{path} does not fit {type(module).__name__}: {'; '.join(filter(None, problems))}; give the "
            "weights of this network, or build it with the classes, channels, size and options that it was "
            "trained with"
        )
    damaged = [key for key, value in state.items() if value.is_floating_point() and bool(torch.isnan(value).any())]
    if damaged:
        raise OpsinError(f"{path} has NaN in {_few(damaged)}: its training failed; use an earlier file")


def _few(items: Iterable[str], separator: str = ", ") -> str:
    items = list(items)
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return separator.join(items[:SHOWN]) + more
