"""`opsin predict`."""

from __future__ import annotations

from pathlib import Path


def predict(
    model: str, /, *images: Path, out: Path | None = None, weights: Path | None = None, json: bool = False
) -> int:
    """Classify images, or every image of a folder.

    Args:
        model: a run, a .safetensors file, a name of `opsin models`, or my.py:CNN with --weights.
        images: files or folders.
        out: write a CSV table too.
        weights: .safetensors or .pth file of the network my.py:CNN.
        json: print one JSON document.
    """
    from opsin.cli.show import document, percent, table
    from opsin.errors import CheckFailed, OpsinError
    from opsin.inference.predict import predict as predict_images
    from opsin.models.load import load_model

    if not images:
        raise OpsinError("no images were given; give files or a folder")
    answer = predict_images(load_model(model, weights=weights), list(images) if len(images) > 1 else images[0])
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
