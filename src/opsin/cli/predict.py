"""`opsin predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from opsin.cli.own import Own


def predict(
    model: str,
    /,
    *images: Path,
    out: Path | None = None,
    own: Annotated[Own, Parameter(name="*")] = Own(),  # noqa: B008 (frozen)
    json: bool = False,
) -> int:
    """Classify images, or every image of a folder.

    Args:
        model: a run, a .safetensors file, a network with pretrained weights, or my.py:CNN with --weights and --size.
        images: files or folders.
        out: write a CSV table too.
        json: print one JSON document.
    """
    from opsin.cli.show import document, percent, progress, table
    from opsin.errors import CheckFailed, OpsinError
    from opsin.inference.predict import predict as predict_images

    if not images:
        raise OpsinError("no images were given; give files or a folder")
    if out is not None and out.is_dir():
        raise OpsinError(f"--out {out} is a folder; give the name of a file, such as {out / 'answers.csv'}")
    with progress() as advance:
        answer = predict_images(own.open(model), list(images), progress=advance)
    if out is not None:
        answer.save(out)
    if json:
        document(answer.as_dict())
    elif out is None:
        rows = zip(answer.names, answer.labels, map(percent, answer.confidence), strict=True)
        print(table(("image", "class", "probability"), rows))
        for item in answer.unreadable:
            print(f"{item.path}  not read: {item.reason}")
    else:
        skipped = f", {len(answer.unreadable)} could not be read" if answer.unreadable else ""
        print(f"{len(answer)} images{skipped}: {out}")
    if answer.unreadable and not len(answer):
        raise CheckFailed(
            f"none of the {len(answer.unreadable)} files could be read, first {answer.unreadable[0].reason}"
        )
    return 0
