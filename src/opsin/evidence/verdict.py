"""The rule by which figures become a verdict."""

from __future__ import annotations

from opsin.evidence import controls, sanity
from opsin.records import BETTER_THAN_RANDOM, FAILS_SANITY, NO_BETTER_THAN_RANDOM, NOT_CHECKED


def judge(p_value: float | None, likeness: float | None) -> str:
    """One of the four verdicts.

    Args:
        p_value: that the maps are no more faithful than random ones; None where no faithfulness was measured.
        likeness: of the maps with those of randomised weights; None where that was not measured.
    """
    if likeness is not None and likeness >= sanity.ALIKE:
        return FAILS_SANITY
    if p_value is None:
        return NOT_CHECKED
    return BETTER_THAN_RANDOM if p_value <= controls.LEVEL else NO_BETTER_THAN_RANDOM
