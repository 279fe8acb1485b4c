"""What the nodes of a graph are called."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from opsin.explanation.tracing.calls import INPUT, Call


def node_names(calls: Sequence[Call]) -> dict[str, str]:
    """A name for each call: the path of its module where that made only this one, otherwise module and operation.

    A module that is called several times counts each time by itself: relu, relu_1. The parts of attention are named
    after it: attention.scores, attention.weights.
    """
    owners: dict[tuple[str, int], list[Call]] = defaultdict(list)
    holders = {call.module for call in calls if not call.unseen}
    taken, found = {INPUT}, {call.name: f"unseen {call.name}" for call in calls if call.unseen}
    calls = [call for call in calls if not call.unseen]
    for call in calls:
        owners[call.module, call.turn].append(call)
    for call in _modules_first(calls, owners):
        parent, _, part = call.name.rpartition(".")
        if parent in found and part in ("scores", "weights"):
            wanted = f"{found[parent]}.{part}"
        elif call.module and len(owners[call.module, call.turn]) == 1 and not _has_parts(call.module, holders):
            wanted = call.module
        else:
            wanted = f"{call.module}.{call.operation}" if call.module else call.operation
        found[call.name] = _unique(wanted, taken)
    return found


def _modules_first(calls: Sequence[Call], owners: dict[tuple[str, int], list[Call]]) -> list[Call]:
    """Calls in the order in which they get their names: those that have a module of their own keep its path."""
    return sorted(calls, key=lambda call: (_is_step(call), len(owners[call.module, call.turn]) > 1 or not call.module))


def _is_step(call: Call) -> bool:
    return call.operation == "attention_scores" or call.name.endswith(".weights")


def _has_parts(module: str, holders: set[str]) -> bool:
    """Whether modules inside of a module made nodes too."""
    return any(other.startswith(f"{module}.") for other in holders)


def _unique(wanted: str, taken: set[str]) -> str:
    name, count = wanted, 0
    while name in taken:
        count += 1
        name = f"{wanted}_{count}"
    taken.add(name)
    return name
