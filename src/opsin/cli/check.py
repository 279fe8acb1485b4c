"""`opsin check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from opsin.cli.own import Own


def check(
    model: str,
    /,
    *images: Path,
    method: str = "grad_cam",
    target: str | None = None,
    layer: str | None = None,
    steps: int = 20,
    measures: list[str] | None = None,
    out: Path | None = None,
    own: Annotated[Own, Parameter(name="*")] = Own(),  # noqa: B008 (frozen)
    seed: int = 0,
    json: bool = False,
) -> int:
    """Explain images, and measure how faithful the maps are to the model.

    Exits with 1 when the maps are no better than random or fail the sanity check.

    Args:
        model: a run, a .safetensors file, a network with pretrained weights, or my.py:CNN with --weights and --size.
        images: files or folders.
        method: how to explain.
        target: the class whose score is explained; by default each image's predicted class.
        layer: the layer to look at; by default it is chosen.
        steps: of deletion and insertion.
        measures: only these; by default all that can be made.
        out: write the evidence as JSON too.
        seed: of every draw.
        json: print one JSON document.
    """
    import dataclasses
    import sys

    from opsin.cli.show import document, progress
    from opsin.errors import CheckFailed, OpsinError
    from opsin.evidence.check import check as check_explanation
    from opsin.explanation.explain import explain
    from opsin.records import Explanation

    if not images:
        raise OpsinError("no images were given; give files or a folder")
    classifier = own.open(model)
    inputs, names, unreadable = classifier.inputs(list(images))
    for item in unreadable:
        print(f"{item.path}  not read: {item.reason}", file=sys.stderr)
    if not names:
        raise CheckFailed(f"none of the {len(unreadable)} files could be read, first {unreadable[0].reason}")
    if target == "all":
        raise OpsinError("--target all stands for several classes; give one class")
    explanation = explain(classifier, inputs, method, target, layer, seed)
    if not isinstance(explanation, Explanation):
        raise OpsinError(f"--target {target} stands for several classes; give one class")
    explanation = dataclasses.replace(explanation, names=names)
    with progress() as advance:
        evidence = check_explanation(
            explanation, classifier, measures=measures, steps=steps, seed=seed, progress=advance
        )
    if out is not None:
        evidence.save(out)
    if json:
        document({**evidence.as_dict(), "unreadable": [item._asdict() for item in unreadable]})
    else:
        print(evidence.text())
    return 1 if evidence.failed else 0
