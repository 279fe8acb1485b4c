"""Looking for shortcuts in a run: its own images, and a place to keep what was found."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from opsin.errors import OpsinError
from opsin.evidence.kept import FOLDER, weights_hash
from opsin.evidence.shortcuts.find import IMAGES, find_shortcuts
from opsin.inference.answers import Progress
from opsin.models.load import load_model
from opsin.records import Shortcuts
from opsin.training.run import Run

FILE = "shortcuts.json"


def find_in_run(
    run: str | Path | Run, *, images: int = IMAGES, seed: int = 0, progress: Progress | None = None
) -> Shortcuts:
    """Look for shortcuts in a run's best weights on its own validation and training images, and keep what was found in
    `evidence/shortcuts.json`, in the place of what was kept there before.

    Args:
        run: a run folder.
        images, seed, progress: as in `find_shortcuts`.

    Raises:
        OpsinError: the folder holds no run, or its images are gone or have changed.
    """
    opened = run if isinstance(run, Run) else Run(run)
    model = load_model(opened.path)
    try:
        data = opened.dataset()
    except OpsinError as error:
        raise OpsinError(f"shortcuts are looked for on a run's own images, which cannot be opened: {error}") from error
    found = find_shortcuts(model, data, images=images, seed=seed, progress=progress)
    found = dataclasses.replace(found, weights=weights_hash(opened.path))
    found.save(opened.path / FOLDER / FILE)
    return found


def kept_shortcuts(run: str | Path) -> tuple[Shortcuts, bool] | None:
    """What a run has kept of the last search, and whether its weights have changed since; None where there was none.

    Raises:
        OpsinError: the files are damaged.
    """
    folder = Path(run)
    path = folder / FOLDER / FILE
    if not path.is_file():
        return None
    found = Shortcuts.load(path)
    return found, found.weights != weights_hash(folder)
