"""The root package: public names, and what importing it costs."""

import subprocess
import sys

import pytest

import opsin

HEAVY = ("torch", "torchvision", "timm", "pandas", "sklearn", "pyarrow", "openTSNE")


def loaded(statement: str) -> set[str]:
    """Which heavy packages a fresh Python has loaded after a statement."""
    script = f"import sys\n{statement}\nprint([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(eval(done.stderr.strip().splitlines()[-1]))


def test_every_public_name_is_there():
    missing = [name for name in opsin.__all__ if not hasattr(opsin, name)]
    assert not missing


@pytest.mark.parametrize(
    "statement",
    ["import opsin", "from opsin.cli import main; main(['--help'])", "from opsin import OpsinError, Recipe"],
)
def test_what_must_be_quick_loads_nothing_heavy(statement):
    assert loaded(statement) == set()


def test_the_measure_itself_sees_a_heavy_import():
    assert "torch" in loaded("import torch")
