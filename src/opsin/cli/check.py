"""`opsin check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from opsin.cli.own import Own

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opsin.records import Evidence


def check(
    model: str,
    /,
    *images: Path,
    method: list[str] | None = None,
    target: str | None = None,
    layer: str | None = None,
    steps: int = 20,
    measures: list[str] | None = None,
    sample: int | None = None,
    shortcuts: bool = False,
    report: bool = False,
    out: Path | None = None,
    own: Annotated[Own, Parameter(name="*")] = Own(),  # noqa: B008 (frozen)
    seed: int = 0,
    json: bool = False,
) -> int:
    """Explain images, and measure how faithful the maps are to the model.

    Of a run without images, validation images of its own are explained, and maps and evidence are kept in the run.
    Exits with 1 when the maps of a method are no better than random or fail the sanity check. With --shortcuts no
    method is checked: places are looked for by which a run's network recognises a class, such as a mark in a corner;
    exits with 1 when there is one.

    Args:
        model: a run, a .safetensors file, a network with pretrained weights, or my.py:CNN with --weights and --size.
        images: files or folders; of a run, none: validation images of its own.
        method: how to explain; several: --method a --method b. By default grad_cam, or what is recommended for a run's
            network.
        target: the class whose score is explained; by default each image's predicted class.
        layer: the layer to look at; by default it is chosen.
        steps: of deletion and insertion.
        measures: only these; by default all that can be made.
        sample: how many of a run's own images; 32 by default.
        shortcuts: does a run's network look at the object, or at a mark beside it?
        report: write the run's report again, with what was found.
        out: write the evidence of one method, or the shortcuts, as JSON too.
        seed: of every draw.
        json: print one JSON document.
    """
    from opsin.errors import OpsinError

    if shortcuts:
        unused = {"method": method, "target": target, "layer": layer, "measures": measures, "sample": sample}
        given = [name for name, value in unused.items() if value is not None] + (["steps"] if steps != 20 else [])
        if given:
            raise OpsinError(f"--{given[0]} has no effect with --shortcuts, which check no method; leave it out")
        return _shortcuts(own, model, images, report, out, seed, json)
    if target == "all":
        raise OpsinError("--target all stands for several classes; give one class")
    if out is not None and method is not None and len(method) > 1:
        raise OpsinError(f"--out takes the evidence of one method, and {len(method)} were given; give one --method")
    asked: dict[str, Any] = {"target": target, "layer": layer, "steps": steps, "measures": measures, "seed": seed}
    more: dict[str, Any]
    if images:
        if report or sample is not None:
            raise OpsinError(
                f"--{'report' if report else 'sample'} is about a run's own images; leave the images out, and what is "
                "found is kept in the run"
            )
        found, more = _given(own, model, images, method or ["grad_cam"], asked)
    else:
        found, more = _of_run(own, model, method, sample, report, asked)
    if out is not None:
        found[0].save(out)
    _show(found, more, json)
    return 1 if any(evidence.failed for evidence in found) else 0


def _shortcuts(
    own: Own, model: str, images: Sequence[Path], report: bool, out: Path | None, seed: int, json: bool
) -> int:
    """Look for shortcuts in a run; what is found is kept in the run."""
    from opsin.cli.show import document, progress
    from opsin.errors import OpsinError
    from opsin.evidence.shortcuts import find_in_run
    from opsin.files import write_json

    if images or own != Own():
        what = "the images" if images else "the flags of my.py:CNN"
        raise OpsinError(f"shortcuts are looked for in a run, on its own images and weights; leave out {what}")
    with progress() as advance:
        found = find_in_run(model, seed=seed, progress=advance)
    if out is not None:
        write_json(out, found.as_dict())
    more = _reported(model) if report else {}
    if json:
        document({**found.as_dict(), **more})
    else:
        print(found.text())
        print(f"open {more['report']}" if report else f"kept in the run; show it with: opsin report {model}")
    return 1 if found.failed else 0


def _given(
    own: Own, model: str, images: Sequence[Path], methods: Sequence[str], asked: dict[str, Any]
) -> tuple[list[Evidence], dict[str, Any]]:
    """Check methods on given images; nothing is kept."""
    import dataclasses
    import sys

    from opsin.cli.show import notes_shown_below, progress
    from opsin.errors import CheckFailed, OpsinError
    from opsin.evidence.check import check as check_explanation
    from opsin.explanation.explain import explain
    from opsin.records import Explanation

    classifier = own.open(model)
    inputs, names, unreadable = classifier.inputs(list(images))
    for item in unreadable:
        print(f"{item.path}  not read: {item.reason}", file=sys.stderr)
    if not names:
        raise CheckFailed(f"none of the {len(unreadable)} files could be read, first {unreadable[0].reason}")
    found = []
    target, layer, seed = (asked[name] for name in ("target", "layer", "seed"))
    for method in dict.fromkeys(methods):
        with notes_shown_below():
            explanation = explain(classifier, inputs, method, target, layer, seed)
        if not isinstance(explanation, Explanation):
            raise OpsinError(f"--target {target} stands for several classes; give one class")
        explanation = dataclasses.replace(explanation, names=names)
        with progress() as advance:
            found.append(
                check_explanation(
                    explanation, classifier, measures=asked["measures"], steps=asked["steps"], seed=seed,
                    progress=advance,
                )
            )  # fmt: skip
    return found, {"unreadable": [item._asdict() for item in unreadable]}


def _of_run(
    own: Own, model: str, methods: list[str] | None, sample: int | None, report: bool, asked: dict[str, Any]
) -> tuple[list[Evidence], dict[str, Any]]:
    """Check methods on a run's own validation images; what is found is kept in the run."""
    from opsin.cli.show import notes_shown_below, progress
    from opsin.errors import OpsinError
    from opsin.evidence.held_out import IMAGES, check_run
    from opsin.evidence.kept import FOLDER

    if not (Path(model) / "run.json").is_file():
        raise OpsinError("no images were given; give files or a folder (only a run has images of its own)")
    if own != Own():
        raise OpsinError(f"{model} is checked as it is when no images are given; leave out the flags of my.py:CNN")
    with progress() as advance, notes_shown_below():
        kept = check_run(model, methods, images=IMAGES if sample is None else sample, progress=advance, **asked)
    more: dict[str, Any] = {"kept": Path(model) / FOLDER, **(_reported(model) if report else {})}
    return [item.evidence for item in kept if item.evidence is not None], more


def _reported(model: str) -> dict[str, Any]:
    """Write a run's report again, in the language that it has."""
    from opsin.reporting.report import language_of, report

    return {"report": report(model, language=language_of(Path(model) / "report.html"))}


def _show(found: Sequence[Evidence], more: dict[str, Any], json: bool) -> None:
    from opsin.cli.show import document

    if json:
        one = found[0].as_dict() if len(found) == 1 else {"methods": {item.method: item.as_dict() for item in found}}
        document({**one, **more})
        return
    print("\n\n".join(evidence.text() for evidence in found))
    if "report" in more:
        print(f"open {more['report']}")
    elif "kept" in more:
        print(f"kept in {more['kept']}; show it with: opsin report {more['kept'].parent}")
