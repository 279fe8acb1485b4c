"""Manifests: a CSV or Parquet table with the columns `path` and `label`, and perhaps `split` and `group`."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from opsin.data.sources.classes import class_names, label_text
from opsin.data.sources.folder import SPLIT_WORDS
from opsin.data.sources.found import Found
from opsin.errors import OpsinError, first_line, some
from opsin.records import Unreadable

PARQUET = (".parquet", ".pq")
SUFFIXES = (".csv", ".tsv", *PARQUET)
NEEDED = ("path", "label")
KNOWN = (*NEEDED, "split", "group")


@dataclass(frozen=True)
class _Table:
    """Texts by column, what to call each row in an error, and the names of the columns that are not used."""

    columns: Mapping[str, Sequence[str]]
    rows: Sequence[str]
    unused: tuple[str, ...]


@dataclass(frozen=True)
class _Row:
    where: str
    path: str
    label: str
    split: str | None
    group: str


def find(place: str | Path) -> Found:
    """The images that a table names.

    `path` is relative to the table's folder and must not lead out of it, neither by `..` nor by a link: a table from
    somewhere else must not choose what is read. `label` is text or a number. `split` is train, val, valid, validation
    or test; empty: not decided. What shares a `group` is never divided between splits; empty: on its own.
    CSV is UTF-8 with commas, semicolons or tabs. Other columns are not used, and a note says so.

    Raises:
        OpsinError: the table cannot be read or lacks a column; an entry is empty, unknown or contradicts another
            one, or a path is outside the folder: the row is named.
    """
    file = Path(place)
    table = _read_parquet(file) if file.suffix.lower() in PARQUET else _read_csv(file)
    rows, repeated = _once(file, _rows(file, table))
    _check_groups(file, rows)
    names = class_names((row.label for row in rows), str(file))
    exists = [(file.parent / row.path).is_file() for row in rows]
    here = [row for row, there in zip(rows, exists, strict=True) if there]
    gone = [row for row, there in zip(rows, exists, strict=True) if not there]
    _check_there(file, here, gone)
    return Found(
        name=file.stem,
        pictures=[file.parent / row.path for row in here],
        labels=[names[row.label] for row in here],
        names=[row.path for row in here],
        splits=[row.split for row in here] if any(row.split for row in here) else None,
        groups=[row.group for row in here] if "group" in table.columns else None,
        unreadable=tuple(Unreadable(row.path, "there is no such file") for row in gone),
        notes=tuple(_notes(table, repeated)),
    )


def _read_csv(file: Path) -> _Table:
    text = _text(file)
    header, delimiter = _header(file, text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    lines: list[list[str]] = []
    rows: list[str] = []
    try:
        for line in reader:
            if not any(cell.strip() for cell in line):
                continue
            if len(line) != len(header):
                raise OpsinError(
                    f"{file} has {len(line)} entries in line {reader.line_num}; expected {len(header)}, one per "
                    "column: put quotes around an entry that holds a delimiter"
                )
            lines.append(line)
            rows.append(f"line {reader.line_num}")
    except csv.Error as error:
        raise OpsinError(f"{file} cannot be read in line {reader.line_num}: {first_line(error)}") from error
    cells = list(zip(*lines[1:], strict=True)) if len(lines) > 1 else [()] * len(header)
    columns = {name: cells[at] for at, name in enumerate(header) if name in KNOWN}
    return _Table(columns, rows[1:], tuple(name for name in header if name not in KNOWN))


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise OpsinError(f"{file} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise OpsinError(f"{file} is not UTF-8 text (byte {error.start:,}); save it as CSV UTF-8") from error


def _header(file: Path, text: str) -> tuple[list[str], str]:
    """The names of the columns, and the delimiter with which they hold the needed ones."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    if not first:
        raise OpsinError(f"{file} is empty; expected {_EXPECTED}")
    headers = {
        delimiter: [name.strip().casefold() for name in next(csv.reader([first], delimiter=delimiter))]
        for delimiter in ",;\t"
    }
    best = max(headers, key=lambda delimiter: (set(NEEDED) <= set(headers[delimiter]), len(headers[delimiter])))
    _check_columns(file, headers[best])
    return headers[best], best


_EXPECTED = "a header with the columns path and label, and perhaps split and group"


def _check_columns(file: Path, names: Sequence[str]) -> None:
    lacking = [name for name in NEEDED if name not in names]
    if lacking:
        raise OpsinError(
            f"{file} lacks the column {some(lacking)}, it has {some(names) or 'none'}; expected {_EXPECTED}"
        )
    twice = [name for name in KNOWN if list(names).count(name) > 1]
    if twice:
        raise OpsinError(f"{file} has the column {twice[0]} more than once; expected {_EXPECTED}")


def _read_parquet(file: Path) -> _Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as parquet:
            stored = {name: name.strip().casefold() for name in parquet.schema_arrow.names}
            _check_columns(file, list(stored.values()))
            table = parquet.read(columns=[name for name, column in stored.items() if column in KNOWN])
    except (pa.ArrowException, OSError) as error:
        raise OpsinError(f"{file} cannot be read as Parquet: {first_line(error)}") from error
    for name, kind in zip(table.column_names, table.schema.types, strict=True):
        if pa.types.is_nested(kind):
            raise OpsinError(f"{file} has {kind} in the column {name}; expected one text or number per image")
    columns = {stored[name]: [label_text(cell) for cell in table[name].to_pylist()] for name in table.column_names}
    rows = [f"row {number}" for number in range(1, table.num_rows + 1)]
    return _Table(columns, rows, tuple(name for name in stored if stored[name] not in KNOWN))


def _rows(file: Path, table: _Table) -> Iterator[_Row]:
    if not table.rows:
        raise OpsinError(f"{file} has no rows; expected one per image, with {_EXPECTED}")
    resolve = _resolver(file)
    for at, where in enumerate(table.rows):
        cells = {name: column[at] for name, column in table.columns.items()}
        empty = [name for name in NEEDED if not cells[name].strip()]
        if empty:
            raise OpsinError(f"{file} has no {empty[0]} in {where}; fill it, or delete the row")
        word = cells.get("split", "").strip()
        if word and word.casefold() not in SPLIT_WORDS:
            raise OpsinError(f"{file} has the split {word!r} in {where}; expected {', '.join(SPLIT_WORDS)} or nothing")
        path = resolve(cells["path"], where)
        yield _Row(where, path, cells["label"], SPLIT_WORDS.get(word.casefold()), cells.get("group", "").strip())


def _resolver(file: Path) -> Callable[[str, str], str]:
    """A function that gives the real place of a path below the manifest's folder, with `/`."""
    folder = os.path.abspath(file.parent)  # noqa: PTH100  (links are looked at below)
    root = os.path.realpath(folder)
    inside = root.rstrip(os.sep) + os.sep
    real_folder = cache(os.path.realpath)  # a manifest has many files in few folders

    def resolve(text: str, where: str) -> str:
        if "\0" in text:
            raise OpsinError(f"{file} has a path with a zero character in {where}; expected the path of an image")
        full = os.path.normpath(os.path.join(folder, text))  # noqa: PTH118 (a million of them: strings are quicker)
        if "\\" in text and not os.path.lexists(full):  # written on Windows
            full = os.path.normpath(os.path.join(folder, text.replace("\\", "/")))  # noqa: PTH118
        parent, name = os.path.split(full)
        real = os.path.realpath(full) if os.path.islink(full) else os.path.join(real_folder(parent), name)  # noqa: PTH114, PTH118
        if not real.startswith(inside):
            raise OpsinError(
                f"{file} names {text} in {where}, which is outside its folder; expected paths inside {folder}: move "
                "the manifest, or copy the images"
            )
        return real[len(inside) :].replace(os.sep, "/")

    return resolve


def _once(file: Path, rows: Iterator[_Row]) -> tuple[list[_Row], int]:
    """Each path once, and how many rows only repeated another."""
    first: dict[str, _Row] = {}
    repeated = 0
    for row in rows:
        known = first.setdefault(row.path, row)
        repeated += known is not row
        for what in ("label", "split", "group"):
            one, other = getattr(known, what), getattr(row, what)
            if one != other:
                raise OpsinError(
                    f"{file} names {row.path} with the {what} {one} in {known.where} and {other} in {row.where}; "
                    f"expected one {what} per image"
                )
    return list(first.values()), repeated


def _check_groups(file: Path, rows: Sequence[_Row]) -> None:
    decided: dict[str, _Row] = {}
    for row in rows:
        if not row.group or row.split is None:
            continue
        known = decided.setdefault(row.group, row)
        if known.split != row.split:
            raise OpsinError(
                f"{file} has the group {row.group} in {known.split} ({known.where}) and in {row.split} ({row.where}); "
                "a group is never divided: give it one split"
            )


def _check_there(file: Path, here: Sequence[_Row], gone: Sequence[_Row]) -> None:
    if not here:
        raise OpsinError(
            f"{file} names {len(gone):,} files and none of them exists, first {gone[0].path}; expected paths relative "
            f"to {file.parent}"
        )
    left = {row.label for row in here}
    lost = next((row for row in gone if row.label not in left), None)
    if lost is not None:
        raise OpsinError(
            f"{file}: none of the files of the class {lost.label} exists, first {lost.path} ({lost.where}); expected "
            f"paths relative to {file.parent}"
        )


def _notes(table: _Table, repeated: int) -> Iterator[str]:
    if table.unused:
        yield f"columns that are not used: {some(table.unused)}"
    if repeated:
        yield f"rows that repeat another one count once ({repeated:,})"
