"""`opsin evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from opsin.cli.own import Own


def evaluate(
    model: str,
    data: str,
    /,
    *,
    own: Annotated[Own, Parameter(name="*")] = Own(),  # noqa: B008 (frozen)
    baselines: bool = True,
    seed: int = 0,
    out: Path | None = None,
    json: bool = False,
) -> int:
    """Score a model on labelled images that it was not trained on.

    Args:
        model: a run, a .safetensors file, or my.py:CNN with --weights and --size.
        data: what `opsin train` takes; images that the model was trained or tuned on are left out.
        baselines: also score much simpler methods on the same images.
        seed: of the splits and of the bootstrap.
        out: write the scores as JSON too.
        json: print one JSON document.
    """
    from opsin.cli.show import document, progress, scores_text
    from opsin.errors import OpsinError
    from opsin.inference.evaluate import evaluate as score

    if out is not None and out.is_dir():
        raise OpsinError(f"--out {out} is a folder; give the name of a file, such as {out / 'scores.json'}")
    with progress() as advance:
        scores = score(own.open(model), data, baselines=baselines, seed=seed, progress=advance)
    if out is not None:
        scores.save(out)
    if json:
        document(scores.as_dict())
    else:
        print(scores_text(scores))
    return 0
