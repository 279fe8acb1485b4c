"""How long `opsin --help` takes, beside a bare cyclopts program and `import torch`, as whole processes, alternating.

Usage: python bench/startup.py [--rounds 9]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

from measure import alternate, write

BARE = "from cyclopts import App; app = App(name='bare', result_action='return_value'); app(['--help'])"
COMMANDS = {
    "opsin --help": [sys.executable, "-c", "from opsin.cli import main; main(['--help'])"],
    "bare cyclopts --help": [sys.executable, "-c", BARE],
    "python": [sys.executable, "-c", "pass"],
    "import torch": [sys.executable, "-c", "import torch"],
}


def milliseconds(command: list[str]) -> float:
    """Wall time of one whole process."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return 1000 * (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    asked = parser.parse_args()
    figures = alternate(
        {name: lambda command=command: milliseconds(command) for name, command in COMMANDS.items()}, asked.rounds
    )
    medians = {name: statistics.median(values) for name, values in figures.items()}
    print(f"opsin --help: {medians['opsin --help']:.0f} ms, goal 500 ms")
    write("startup", {"rounds": asked.rounds, "milliseconds": figures, "medians": medians, "goal": 500})


if __name__ == "__main__":
    main()
