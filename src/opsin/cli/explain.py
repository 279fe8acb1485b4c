"""`opsin explain`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from opsin.cli.own import Own
from opsin.errors import CheckFailed, OpsinError

SHOWN = 20
BLANK = "blank: zero everywhere"


def explain(
    model: str,
    /,
    *images: Path,
    method: list[str] | None = None,
    target: str | None = None,
    against: str | None = None,
    layer: str | None = None,
    out: Path | None = None,
    overlays: bool | None = None,
    own: Annotated[Own, Parameter(name="*")] = Own(),  # noqa: B008 (frozen)
    seed: int = 0,
    json: bool = False,
) -> int:
    """Show where in images a model's answers come from.

    Writes one sheet of some of the images, each map on its picture, all maps and an index of them. Stopped and called
    again, it goes on where it was.

    Args:
        model: a run, a .safetensors or .onnx file, a network with pretrained weights, or my.py:CNN with --weights and
            --size.
        images: files or folders, any number.
        method: how to explain (see opsin methods), by default grad_cam; give it several times for several.
        target: the class whose score is explained, by name or number; by default each image's predicted class.
        against: explain why --target rather than this class.
        layer: the layer to look at; by default it is chosen.
        out: the folder; by default explanations/ and the name of the first image or folder.
        overlays: write each map on its picture, one PNG each; by default up to 500 of them.
        seed: of every draw.
        json: print one JSON document.
    """
    import sys

    from opsin.cli.show import document, percent, progress, table
    from opsin.explanation.set_folder import INDEX
    from opsin.explanation.sets import explain_set
    from opsin.inference.answers import known_classes
    from opsin.reporting.pictures.of_set import write_sheet

    if not images:
        raise OpsinError("no images were given; give files or a folder")
    classifier = own.open(model)
    with progress() as advance:
        found = explain_set(
            classifier,
            list(images),
            out,
            methods=method or ["grad_cam"],
            target=_target(target, against, known_classes(classifier)),
            layer=layer,
            seed=seed,
            overlays=overlays,
            progress=advance,
        )
    unreadable = found.unreadable
    for item in unreadable:
        print(f"{item.path}  not read: {item.reason}", file=sys.stderr)
    if not found.count:
        raise CheckFailed(f"none of the {len(unreadable)} files could be read, first {unreadable[0].reason}")
    sheet = write_sheet(found)
    rows = [row for row in found.index().to_pylist() if row["unreadable"] is None]
    if json:
        columns = ("path", "method", "class", "probability", "layer", "low", "high", "blank", "overlay")
        document({
            "out": found.path,
            "sheet": sheet,
            "index": found.path / INDEX,
            "images": [{name: row[name] for name in columns} for row in rows],
            "unreadable": [item._asdict() for item in unreadable],
        })  # fmt: skip
        return 0
    shown = [
        (row["name"], row["method"], row["layer"], row["class"], percent(row["probability"]), BLANK * row["blank"])
        for row in rows[:SHOWN]
    ]
    print(table(("image", "method", "layer", "class", "probability", ""), shown))
    if len(rows) > SHOWN:
        print(f"... {len(rows) - SHOWN:,} more in {found.path / INDEX}")
    print(f"open {sheet}")
    return 0


def _target(target: str | None, against: str | None, classes: Sequence[str]) -> Any:
    """What `explain_set` takes as a target: a number that is no class's name is an index."""
    if target is None and against is not None:
        raise OpsinError(f"--against {against} needs --target: why that class rather than {against}")
    first, second = (
        int(item) if item is not None and item.isdecimal() and item not in classes else item
        for item in (target, against)
    )
    return first if second is None else (first, second)
