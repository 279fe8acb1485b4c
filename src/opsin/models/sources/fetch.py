"""Fetching pretrained weights, or saying at once why not."""

from __future__ import annotations

from opsin.data.network import why_unreachable
from opsin.errors import OpsinError


def require_reachable(address: str, what: str) -> None:
    """Refuse at once when `what` cannot be downloaded from `address`.

    Raises:
        OpsinError: says what could not be fetched, and what to do.
    """
    reason = why_unreachable(address)
    if reason is not None:
        raise cannot_fetch(what, reason)


def cannot_fetch(what: str, reason: str) -> OpsinError:
    """The error for weights that could not be downloaded."""
    return OpsinError(
        f"the pretrained weights of {what} could not be fetched ({' '.join(reason.split())[:200]}); connect "
        "to the network once, or use pretrained=False, or take efficientnet_lite0, whose weights come as a "
        "package"
    )
