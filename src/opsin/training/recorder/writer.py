"""A background thread that writes, so that training does not wait for the disk."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from opsin.errors import OpsinError
from opsin.files import plain, replacing

WAITING = 8  # jobs; a full queue makes training wait instead of filling the memory


class Writer:
    """Runs jobs in order in one thread. The first failure is raised by the next call of the owner."""

    def __init__(self) -> None:
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue(WAITING)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="opsin-writer", daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[], None]) -> None:
        """Queue a job.

        Raises:
            OpsinError: an earlier job failed (a full disk, a folder that cannot be written to).
        """
        self._raise_failure()
        self._jobs.put(job)

    def flush(self) -> None:
        """Wait until every job so far is done, and raise the first failure."""
        self._jobs.join()
        self._raise_failure()

    def close(self) -> None:
        """Finish all jobs and end the thread. Failures are raised; closing twice is harmless."""
        if self._thread.is_alive():
            self._jobs.put(None)
            self._thread.join()
        self._raise_failure()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                if self._failure is None:
                    job()
            except BaseException as error:
                self._failure = error
            finally:
                self._jobs.task_done()
        self._jobs.task_done()

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if isinstance(failure, OpsinError):
            raise failure
        if isinstance(failure, OSError):
            raise OpsinError(f"cannot record the run: {failure}; free some space or choose another folder") from failure
        if failure is not None:
            raise failure


def append_line(path: Path, values: Mapping[str, Any]) -> None:
    """Append one JSON line. A kill can leave a torn last line, which `read_lines` passes over."""
    text = json.dumps(plain(values), ensure_ascii=False, allow_nan=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8", newline="\n") as handle:
        handle.write(text + "\n")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The JSON lines of a file, without a torn last one; an absent file has none.

    Raises:
        OpsinError: a line that is not the last is malformed.
    """
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")  # a line can be torn within a letter
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            if number == len(lines):
                break
            raise OpsinError(f"{path}, line {number} is not JSON ({error}); the file was changed by hand") from error
    return rows


def cut_lines(path: Path, keep: Callable[[dict[str, Any]], bool]) -> None:
    """Rewrite a file of JSON lines with only the lines that `keep` accepts: a resume goes back to its checkpoint."""
    if not path.exists():
        return
    rows = [row for row in read_lines(path) if keep(row)]
    with replacing(path) as temporary:
        temporary.write_text(
            "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows),
            encoding="utf-8",
            newline="\n",
        )
