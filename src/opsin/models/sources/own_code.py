"""A person's own network: `my.py:CNN`, `package.module:factory`, or the class itself."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from opsin.data.preprocess import Preprocess
from opsin.errors import OpsinError, did_you_mean, first_line
from opsin.models.sources.order import Delivery, Order

# What people call these arguments; the first that a signature has is used.
CLASSES = ("classes", "num_classes", "n_classes")
CHANNELS = ("channels", "in_channels", "in_chans")


def build(order: Order, factory: Callable[..., Any] | None = None) -> Delivery:
    """Build a person's own network.

    The number of classes and of channels is passed where the signature has an argument of a usual name for
    it; `order.options` are passed as they are.

    Args:
        order: `name` is `file.py:Name` or `module:Name`. The file is run: open only code that you trust.
        factory: the class or function itself, instead of its name.

    Raises:
        OpsinError: the file or the name is not there, the code fails, or what it returns is not a module.
    """
    if order.pretrained:
        raise OpsinError(f"{order.name} was asked for pretrained=True; own code has none: load a file with weights=")
    target = resolve(order.name) if factory is None else factory
    module = target if isinstance(target, nn.Module) else _call(order, target)
    told = order.size is not None or any(name in _arguments(order, target) for name in CHANNELS)
    preprocess = Preprocess.simple(channels=order.channels, size=order.size) if order.size else None
    file = order.name.rpartition(":")[0]
    source = str(Path(file).resolve()) if factory is None and file.endswith(".py") else None
    channels = order.channels if told else None
    return Delivery(module, order.size, preprocess, channels=channels, check=False, source=source)


def resolve(name: str) -> Any:
    """What `file.py:Name` or `module:Name` names.

    Raises:
        OpsinError: the file, the module or the name is not there, or the code fails when it is run.
    """
    where, _, attribute = name.rpartition(":")
    code = _run_file(Path(where)) if where.endswith(".py") else _import(where)
    if hasattr(code, attribute):
        return getattr(code, attribute)
    own = [key for key, value in vars(code).items() if _is_network(value, code)]
    raise OpsinError(
        f"{where} has no {attribute!r}{did_you_mean(attribute, own)}; its networks are {', '.join(own) or 'none'}"
    )


def _is_network(value: Any, code: ModuleType) -> bool:
    return inspect.isclass(value) and issubclass(value, nn.Module) and value.__module__ == code.__name__


def _run_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise OpsinError(f"there is no file {path}; expected FILE.py:CLASS with the path of a Python file")
    path = path.resolve()
    # A name of its own for each path, so that two files of one name do not replace each other or an installed package.
    name = f"opsin_own_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise OpsinError(f"{path} cannot be run as Python code; expected a .py file")
    code = importlib.util.module_from_spec(spec)
    sys.modules[name] = code
    try:
        with _importing_beside(path):
            spec.loader.exec_module(code)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _failed(f"{path}", error) from error
    return code


def _import(name: str) -> ModuleType:
    try:
        with _importing_beside(Path("module")):
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise OpsinError(
            f"there is no module {error.name!r}; expected MODULE:NAME with an installed module, or FILE.py:CLASS"
        ) from error
    except (Exception, SystemExit) as error:
        raise _failed(f"module {name}", error) from error


@contextmanager
def _importing_beside(path: Path) -> Iterator[None]:
    """Let the code import its neighbours, as `python my.py` would, and leave the import path as it was."""
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def _failed(what: str, error: BaseException) -> OpsinError:
    return OpsinError(
        f"{what} failed when it was run: {type(error).__name__}: {first_line(error)}; run it with python "
        "first, and keep training code under if __name__ == '__main__'"
    )


def _call(order: Order, target: Any) -> nn.Module:
    if not callable(target):
        raise OpsinError(f"{order.name} is a {type(target).__name__}; expected a class or function that makes a module")
    arguments = _arguments(order, target)
    try:
        module = target(**arguments)
    except Exception as error:
        given = ", ".join(f"{key}={value!r}" for key, value in arguments.items()) or "no arguments"
        raise OpsinError(
            f"{order.name} called with {given} failed: {type(error).__name__}: {first_line(error)}; give "
            "what it needs with options={...}"
        ) from error
    if not isinstance(module, nn.Module):
        raise OpsinError(f"{order.name} made a {type(module).__name__}; expected a torch.nn.Module")
    return module


def _arguments(order: Order, target: Callable[..., Any]) -> dict[str, Any]:
    try:
        parameters = inspect.signature(target).parameters
    except (TypeError, ValueError):
        return dict(order.options)
    arguments: dict[str, Any] = {}
    for names, value in ((CLASSES, order.classes), (CHANNELS, order.channels)):
        known = next((name for name in names if name in parameters), None)
        if known is not None and value is not None:
            arguments[known] = value
    return arguments | dict(order.options)
