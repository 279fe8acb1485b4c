"""The direction of imports is held by import-linter, and a planted violation shows that it can fail."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
FORBIDDEN = "\nfrom opsin.training.recipe import Recipe as _Planted\n"


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "COLUMNS": "200"}
    return subprocess.run(
        [*command, "--no-cache"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_the_contracts_hold_and_a_planted_import_breaks_one(tmp_path):
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    kept = lint(tmp_path)
    assert kept.returncode == 0, kept.stdout
    lower = tmp_path / "src" / "opsin" / "data" / "preprocess.py"
    lower.write_text(lower.read_text() + FORBIDDEN)
    broken = lint(tmp_path)
    assert broken.returncode == 1
    assert "opsin.data.preprocess -> opsin.training.recipe" in broken.stdout
