"""A page of explanations: maps of several methods with their evidence, without a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from opsin.errors import OpsinError
from opsin.evidence.kept import Kept
from opsin.records import Evidence, Explanation
from opsin.reporting.page.render import Page
from opsin.reporting.parts.why import Answered, why_of
from opsin.reporting.report import make_page


def page_of(
    explanations: Sequence[Explanation],
    evidences: Sequence[Evidence | None] | None = None,
    answers: Mapping[str, Answered] | None = None,
    *,
    name: str,
) -> Page:
    """The page of explanations; `opsin.reporting.report.write_page` writes it.

    Args:
        explanations: one per method (or layer, or class); those of the same images and classes stand side by side.
        evidences: one per explanation, None for one that was not checked; None: none was, and each map is marked so.
        answers: what the network answers, by the images' names.
        name: what the page is about, such as the network and where the images come from.

    Raises:
        OpsinError: there is nothing to show, or there are more or fewer evidences than explanations.
    """
    if not explanations:
        raise OpsinError("there is nothing to show; give one or more explanations")
    beside = [None] * len(explanations) if evidences is None else list(evidences)
    if len(beside) != len(explanations):
        raise OpsinError(
            f"{len(beside)} evidences were given for {len(explanations)} explanations; give one for each, or None"
        )
    found = [Kept(explanation, evidence) for explanation, evidence in zip(explanations, beside, strict=True)]
    return make_page(name, {"why": why_of(found, answers)}, "page.explained")
