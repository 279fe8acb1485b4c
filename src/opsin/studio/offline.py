"""No run or model file, wherever it came from, makes the studio fetch something or tell somebody that it was opened."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opsin.errors import OpsinError

_allowed = False


def stay_offline() -> None:
    """From now on nothing in this process can open a network address. It cannot be taken back."""
    sys.addaudithook(_refuse_addresses)


@contextmanager
def network() -> Iterator[None]:
    """Inside the block addresses can be opened: to fetch the weights of a network that the command line named."""
    global _allowed  # noqa: PLW0603 (an audit hook has no other place to look at)
    _allowed = True
    try:
        yield
    finally:
        _allowed = False


def _refuse_addresses(event: str, args: tuple[Any, ...]) -> None:
    # an address of the network is a tuple; the others lie in this machine's file system
    asks = event == "socket.getaddrinfo" or (
        event in ("socket.connect", "socket.sendto") and isinstance(args[1], tuple)
    )
    if asks and not _allowed:
        raise OpsinError("this would open a network address, which the studio never does; fetch it on the command line")
