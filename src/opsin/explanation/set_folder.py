"""What `explain_set` leaves behind, and reading it back.

```
OUT/explain.json                       what was asked: model, methods, options, target, layer, seed
OUT/index.parquet                      one row per image and method, written when everything is done
OUT/index/00000.parquet                the same rows shard by shard: a shard is done when its rows are there
OUT/maps/METHOD/00000.safetensors      `maps` float16 (n, h, w), shares of `peaks` float32 (n,), the largest magnitudes
OUT/overlays/METHOD/NAME.png           where asked for
```
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from opsin.data.images import Opened, decode_each, stacked
from opsin.data.preprocess import Preprocess
from opsin.errors import OpsinError, some
from opsin.files import read_json, read_tensors, replacing, write_json, write_tensors
from opsin.models.black_box import BlackBox
from opsin.models.classifier import Classifier
from opsin.models.weights import bare
from opsin.records import Explanation, Unreadable

FORMAT = 1
ABOUT = "explain.json"
INDEX = "index.parquet"

ROW = pa.schema(
    [
        ("name", pa.string()),
        ("path", pa.string()),
        ("bytes", pa.int64()),
        ("modified", pa.int64()),
        ("unreadable", pa.string()),
        ("method", pa.string()),
        ("class", pa.string()),
        ("target", pa.int64()),
        ("against", pa.int64()),
        ("probability", pa.float32()),
        ("layer", pa.string()),
        ("low", pa.float32()),
        ("high", pa.float32()),
        ("blank", pa.bool_()),
        ("error", pa.float32()),
        ("completeness", pa.float32()),
        ("top", pa.float64()),
        ("left", pa.float64()),
        ("bottom", pa.float64()),
        ("right", pa.float64()),
        ("shard", pa.int64()),
        ("row", pa.int64()),
        ("overlay", pa.string()),
    ]
)


@dataclass(frozen=True)
class ExplanationSet:
    """A folder of explanations of any number of images.

    Attributes:
        path: the folder.
        about: what was asked, as in `explain.json`.
    """

    path: Path
    about: Mapping[str, Any]

    @classmethod
    def open(cls, path: str | Path) -> ExplanationSet:
        """The set in a folder.

        Raises:
            OpsinError: there is none, or it is of a newer version.
        """
        path = Path(path)
        if not (path / ABOUT).is_file():
            raise OpsinError(f"{path} holds no explanations; give a folder that opsin explain wrote")
        about = read_json(path / ABOUT)
        if not isinstance(about, dict) or about.get("format") != FORMAT:
            raise OpsinError(f"{path / ABOUT} is not of format {FORMAT}, which this version reads; explain again")
        return cls(path, about)

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods' names, in the order in which they were asked for."""
        return tuple(self.about["methods"])

    def index(self) -> pa.Table:
        """One row per image and method (of an unreadable image one row with the reason), in the order in which they
        were explained; also of a set that is not finished."""
        parts = [pq.read_table(part, schema=ROW) for part in self.parts()]
        table = pa.concat_tables(parts) if parts else ROW.empty_table()
        return table.filter(pa.array(_newest(table)))

    @property
    def count(self) -> int:
        """How many images have maps."""
        return sum(reason is None for reason in self.index()["unreadable"].to_pylist()) // len(self.methods)

    @property
    def unreadable(self) -> tuple[Unreadable, ...]:
        """The images that could not be read, with the reasons."""
        table = self.index()
        rows = zip(table["path"].to_pylist(), table["unreadable"].to_pylist(), strict=True)
        return tuple(Unreadable(path, reason) for path, reason in rows if reason is not None)

    def explanation(self, method: str, limit: int | None = None) -> Explanation:
        """The maps of one method as an Explanation: of at most `limit` images, evenly spread, or of all, which have to
        fit into memory. The pictures are opened again, for `inputs`.

        Raises:
            OpsinError: the set has no such method, or a picture is gone.
        """
        if method not in self.methods:
            raise OpsinError(f"{self.path} holds no {method}; it has {', '.join(self.methods)}")
        table = self.index()
        places = [at for at, name in enumerate(table["method"].to_pylist()) if name == method]
        shown = len(places) if limit is None else min(limit, len(places))
        rows = table.take([places[at * len(places) // shown] for at in range(shown)]).to_pylist()
        preprocess = Preprocess.load(self.about["preprocess"])
        opened = decode_each([Path(row["path"]) for row in rows], preprocess)
        lost = [item for item in opened if isinstance(item, Unreadable)]
        if lost:
            raise OpsinError(
                f"{lost[0].path} can no longer be read ({lost[0].reason}), so its explanation cannot be shown; bring "
                "it back, or explain the others anew"
            )
        pixels = stacked([item for item in opened if isinstance(item, Opened)], preprocess)
        pair = self.about["against"] is not None
        return Explanation(
            maps=self._maps(method, rows, preprocess),
            inputs=preprocess.normalise(pixels).contiguous().numpy(),
            method=method,
            options=dict(self.about["options"][method]),
            layer=", ".join(dict.fromkeys(row["layer"] for row in rows)),
            targets=np.array([row["target"] for row in rows], np.int64),
            classes=tuple(self.about["classes"]),
            names=tuple(row["name"] for row in rows),
            against=np.array([row["against"] for row in rows], np.int64) if pair else None,
            seed=self.about["seed"],
            error=_column(rows, "error"),
            completeness=_column(rows, "completeness"),
            probabilities=_column(rows, "probability"),
            geometry=np.array([[row[edge] for edge in ("top", "left", "bottom", "right")] for row in rows]),
            display=(preprocess.mean, preprocess.std),
        )

    def parts(self) -> list[Path]:
        """The rows of every shard that is done, in order."""
        return sorted((self.path / "index").glob("[0-9]*.parquet"), key=lambda part: int(part.stem))

    def maps_file(self, method: str, shard: int) -> Path:
        """Where the maps of a shard are kept."""
        return self.path / "maps" / method / f"{shard:05}.safetensors"

    def write_about(self) -> None:
        """Write what was asked, so that only the same can be added."""
        if not (self.path / ABOUT).is_file():
            write_json(self.path / ABOUT, self.about)

    def write_maps(self, method: str, shard: int, maps: np.ndarray) -> None:
        """Write maps float32 `(n, h, w)` as shares of each map's largest magnitude: float16 keeps 11 bits of each value
        whatever the method's unit."""
        peaks = np.abs(maps).max(axis=(1, 2), initial=0)
        shares = np.divide(maps, peaks[:, None, None], out=np.zeros_like(maps), where=peaks[:, None, None] > 0)
        write_tensors(self.maps_file(method, shard), {"maps": shares.astype(np.float16), "peaks": peaks})

    def write_rows(self, shard: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write the rows of a shard, which says that all of it is done."""
        with replacing(self.path / "index" / f"{shard:05}.parquet") as temporary:
            pq.write_table(pa.Table.from_pylist(list(rows), schema=ROW), temporary)

    def write_index(self) -> Path:
        """Join the rows of all shards into one file."""
        with replacing(self.path / INDEX) as temporary:
            pq.write_table(self.index(), temporary)
        return self.path / INDEX

    def clear_torn(self) -> None:
        """Delete what a killed process left half written."""
        for torn in [*self.path.glob(".*.tmp"), *self.path.glob("*/.*.tmp"), *self.path.glob("*/*/.*.tmp")]:
            torn.unlink(missing_ok=True)

    def _maps(self, method: str, rows: Sequence[Mapping[str, Any]], preprocess: Preprocess) -> np.ndarray:
        maps = np.zeros((len(rows), preprocess.height, preprocess.width), np.float32)
        for shard in dict.fromkeys(row["shard"] for row in rows):
            arrays, _ = read_tensors(self.maps_file(method, shard))
            places = [at for at, row in enumerate(rows) if row["shard"] == shard]
            chosen = [rows[at]["row"] for at in places]
            maps[places] = arrays["maps"][chosen].astype(np.float32) * arrays["peaks"][chosen][:, None, None]
        return maps


def begin_set(out: str | Path, about: Mapping[str, Any]) -> ExplanationSet:
    """The set in `out`, or a new one there, of which nothing is written yet.

    Raises:
        OpsinError: the folder holds something else, or explanations of another model or with other settings.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise OpsinError(f"{out} is a file; give the name of a folder for the explanations")
    if not (out / ABOUT).is_file():
        if out.exists() and any(out.iterdir()):
            raise OpsinError(f"{out} is not empty and holds no explanations; give a new folder")
        return ExplanationSet(out, about)
    found = ExplanationSet.open(out)
    others = [name for name in about if found.about.get(name) != about[name]]
    if others:
        raise OpsinError(
            f"{out} holds explanations that differ in {some(others, 3)} (there {_short(found.about.get(others[0]))}, "
            f"now {_short(about[others[0]])}); give another folder"
        )
    found.clear_torn()
    return found


def free_set(wanted: Path, about: Mapping[str, Any]) -> ExplanationSet:
    """The set in `wanted`, or in the first of `wanted-2`, `wanted-3` ... that is new or holds the same."""
    for turn in count(1):
        try:
            return begin_set(wanted if turn == 1 else wanted.with_name(f"{wanted.name}-{turn}"), about)
        except OpsinError:
            continue
    raise AssertionError("count() has no end")


def fingerprint(model: Classifier) -> str:
    """32 hexadecimal digits of what decides a model's answers: its weights, or the bytes of its ONNX file."""
    found = hashlib.blake2b(model.label.encode(), digest_size=16)
    for name, value in bare(model.module).state_dict().items():
        found.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        found.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    if isinstance(model, BlackBox) and model.origin is not None and model.origin.is_file():
        found.update(model.origin.read_bytes())
    return found.hexdigest()


def _short(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _newest(table: pa.Table) -> list[bool]:
    """Which rows belong to the last shard that holds their image: an image that changed was explained again."""
    paths, shards = table["path"].to_pylist(), table["shard"].to_pylist()
    last = dict(zip(paths, shards, strict=True))
    return [last[path] == shard for path, shard in zip(paths, shards, strict=True)]


def _column(rows: Iterable[Mapping[str, Any]], name: str) -> np.ndarray | None:
    values = [row[name] for row in rows]
    return None if any(value is None for value in values) else np.array(values, np.float32)
