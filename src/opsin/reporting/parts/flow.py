"""What a report says of its view of the network at work."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Flow:
    """Whether the browser runs the network by itself: then one can draw; `why_not` says why it does not."""

    live: bool
    why_not: str = ""
