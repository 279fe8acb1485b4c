"""What a number can depend on, in every node before it: receptive fields by going back through the graph.

Every operation says which places of its inputs make places of its output (`reach.py`). For chains of convolutions and
pools this is Araujo, Norris and Sim (2019), with padding, dilation and uneven windows as they are. The tests compare it
with pixels that are poisoned with NaN one by one, and with `opsin.inside.receptive_field`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from opsin.errors import some
from opsin.explanation.tracing.arithmetic.opening import Opening
from opsin.explanation.tracing.calls import INPUT, Call, of_the_image
from opsin.explanation.tracing.reach import Region, is_known, is_statistic, regions_before
from opsin.records.activity import Box

Span = tuple[int, int]
MOST = 8  # regions of one node that are kept apart


@dataclass
class Fields:
    """What one number can depend on.

    Attributes:
        regions: per node before it, with the axis of the image; several where branches take different places of it.
        unknown: operations of which it is not known; everything before them is taken.
        joined: nodes of which branches take so many different places that only what holds them all is kept.
        has_statistics: whether a statistic of the picture was met that rescales whole channels.
    """

    regions: dict[str, list[Region]] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    joined: list[str] = field(default_factory=list)
    has_statistics: bool = False

    def spans(self, values: Mapping[str, Tensor]) -> dict[str, tuple[Span, ...]]:
        """Per node (first, behind the last) along each axis, without that of the image."""
        found = {}
        for name, regions in self.regions.items():
            shape, region = values[name].shape, _hull(regions)
            kept = region[1:] if len(shape) and shape[0] == 1 else region
            found[name] = tuple((int(axis[0]), int(axis[-1]) + 1) for axis in kept)
        return found

    def box(self) -> Box | None:
        """Top, left, bottom, right in the input; None where nothing of it is reached."""
        if INPUT not in self.regions:
            return None
        rows, columns = _hull(self.regions[INPUT])[-2:]
        return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1

    @property
    def note(self) -> str:
        """What makes the field larger than what the number can depend on; "" where it is exact."""
        if self.unknown:
            names = some(list(dict.fromkeys(self.unknown)), 3)
            return f"which of its inputs {names} takes is not known: all of them are counted"
        if self.joined:
            return f"the field may be too large: branches take many different places of {self.joined[0]}"
        return ""

    def add(self, name: str, region: Region) -> None:
        """Note that places of a node are taken."""
        known = self.regions.get(name, [])
        if any(_holds(other, region) for other in known):
            return
        kept = [*(other for other in known if not _holds(region, other)), region]
        if len(kept) > MOST:
            self.joined.append(name)
            kept = [_hull(kept)]
        self.regions[name] = kept


def fields_before(
    calls: Mapping[str, Call], values: Mapping[str, Tensor], state: Mapping[str, Tensor], name: str,
    place: tuple[int, ...],
) -> tuple[Fields, Fields]:  # fmt: skip
    """Go back from a number.

    Args:
        calls, values, state: of the network: see `Traced`.
        name: the node of the number.
        place: where in its output, with the axis of the image.

    Returns:
        The fields; and the local ones without what only rescales whole channels by a statistic of the picture: global
        pools, and the mean and spread of group normalisation.
    """
    whole = _back(calls, values, state, name, place, local=False)
    local = _back(calls, values, state, name, place, local=True) if whole.has_statistics else whole
    return whole, local


def _back(
    calls: Mapping[str, Call], values: Mapping[str, Tensor], state: Mapping[str, Tensor], name: str,
    place: tuple[int, ...], *, local: bool,
) -> Fields:  # fmt: skip
    found = Fields({name: [tuple(np.array([at]) for at in place)]})
    depending = of_the_image(calls)
    for step in reversed([key for key in calls if key in values and key in depending]):
        if step not in found.regions:
            continue
        opening = Opening(calls[step], (), values, state)
        found.has_statistics |= is_statistic(opening)
        if not is_known(opening):
            found.unknown.append(calls[step].operation)
        for region in found.regions[step]:
            for source, before in regions_before(opening, region, local=local):
                found.add(source, before)
    return found


def _holds(outer: Region, inner: Region) -> bool:
    return all(len(np.setdiff1d(one, other, assume_unique=True)) == 0 for one, other in zip(inner, outer, strict=True))


def _hull(regions: Sequence[Region]) -> Region:
    """The smallest region that holds all of them."""
    if len(regions) == 1:
        return regions[0]
    return tuple(np.unique(np.concatenate(axes)) for axes in zip(*regions, strict=True))
