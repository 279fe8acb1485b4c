"""What a run keeps of the methods that were checked on it: `evidence/METHOD.safetensors` and `evidence/METHOD.json`."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from opsin.errors import OpsinError
from opsin.evidence import controls
from opsin.evidence.measures import FAITHFULNESS
from opsin.evidence.verdict import judge
from opsin.files import replacing
from opsin.records import NOT_CHECKED, Evidence, Explanation
from opsin.records.evidence import VERDICTS

FOLDER = "evidence"
OTHERS = ("shortcuts",)  # files of the folder that are not about a method
NAMES = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
WEIGHTS = Path("weights") / "best.safetensors"
TOLERANCE = 1e-6  # of figures that follow from others


@dataclass(frozen=True)
class Kept:
    """The maps of one method and what was measured of them.

    Attributes:
        explanation: the maps.
        evidence: None where the maps were not checked.
        stale: whether the run's weights have changed since.
    """

    explanation: Explanation
    evidence: Evidence | None
    stale: bool = False

    @property
    def verdict(self) -> str:
        """One of the four verdicts; evidence of other weights says nothing of these."""
        return NOT_CHECKED if self.evidence is None or self.stale else self.evidence.verdict


def keep(run: str | Path, explanation: Explanation, evidence: Evidence | None = None) -> None:
    """Keep a method's maps and evidence in a run; they replace what was kept of this method before.

    Args:
        run: the run's folder.
        explanation: the maps.
        evidence: what `check` measured of them; None: they count as not checked yet.

    Raises:
        OpsinError: the folder holds no run, the evidence is of other maps, the method's name cannot be a file's name,
            or a file cannot be written. What was kept before then stays.
    """
    folder = Path(run)
    if not (folder / "run.json").is_file():
        raise OpsinError(f"{folder} is not a run: expected a folder with run.json, as opsin train writes it")
    name = explanation.method
    if not NAMES.fullmatch(name) or name in OTHERS:
        raise OpsinError(f"a method called {name!r} cannot be kept as a file; give its function a plain name: def mine")
    maps, proof = (folder / FOLDER / f"{name}{suffix}" for suffix in (".safetensors", ".json"))
    if evidence is None:
        with replacing(maps) as temporary:
            explanation.save(temporary)
            proof.unlink(missing_ok=True)
        return
    if (reason := _mismatch(explanation, evidence)) is not None:
        raise OpsinError(f"the evidence is of other maps ({reason}); keep an explanation with what check made of it")
    # Both are written in full before either replaces the old; a crash in between leaves maps that are not checked yet,
    # and never new maps beside old figures.
    with replacing(proof) as temporary_proof, replacing(maps) as temporary_maps:
        explanation.save(temporary_maps)
        dataclasses.replace(evidence, weights=weights_hash(folder)).save(temporary_proof)
        proof.unlink(missing_ok=True)


def kept(run: str | Path) -> tuple[tuple[Kept, ...], dict[str, str]]:
    """What a run has kept, the most faithful method first, and by method why something of it cannot be used.

    Evidence whose verdict does not follow from its own figures is not used, nor is evidence of other maps.
    """
    folder = Path(run)
    files = [path for suffix in ("safetensors", "json") for path in (folder / FOLDER).glob(f"[!.]*.{suffix}")]
    names = sorted({path.stem for path in files if path.stem not in OTHERS})
    found, damaged = [], {}
    weights = weights_hash(folder) if names else ""
    for name in names:
        try:
            found.append(_read(folder / FOLDER, name, weights))
        except OpsinError as error:
            damaged[name] = str(error)
    return tuple(sorted(found, key=_rank)), damaged


def weights_hash(run: Path) -> str:
    """32 hexadecimal digits of the run's best weights; "" where there are none."""
    path = run / WEIGHTS
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def contradiction(evidence: Evidence) -> str | None:
    """Where the figures of Evidence do not belong together, as in a file that was edited; None where they do."""
    for name, measure in evidence.measures.items():
        if not _near(measure.mean, measure.values.mean() if len(measure.values) else np.nan):
            return f"the mean of {name} is not that of its values"
    gains = [
        controls.oriented(measure.values - measure.controls["random"].values, measure.better).mean()
        for name, measure in evidence.measures.items()
        if name in FAITHFULNESS and "random" in measure.controls
    ]
    if gains and (evidence.advantage is None or not _near(evidence.advantage, float(np.mean(gains)))):
        return "the gain over random maps is not that of its measures"
    randomised = evidence.measures.get("randomisation")
    expected = judge(evidence.p_value if gains else None, None if randomised is None else randomised.mean)
    return None if evidence.verdict == expected else f"its verdict is {evidence.verdict}, its figures say {expected}"


def _read(folder: Path, name: str, weights: str) -> Kept:
    maps, proof = folder / f"{name}.safetensors", folder / f"{name}.json"
    if not maps.is_file():
        raise OpsinError(f"{maps} is missing: {proof.name} says how good its maps are, but there are none")
    explanation = Explanation.load(maps)
    if not proof.is_file():
        return Kept(explanation, None)
    evidence = Evidence.load(proof)
    reason = _mismatch(explanation, evidence) or contradiction(evidence)
    if reason is not None:
        raise OpsinError(f"{proof} cannot be right: {reason}")
    return Kept(explanation, evidence, evidence.weights != weights)


def _mismatch(explanation: Explanation, evidence: Evidence) -> str | None:
    for name in ("method", "layer", "names"):
        own, other = getattr(explanation, name), getattr(evidence, name)
        if own != other:
            values = f"{own!r} and {other!r}" if name != "names" else f"{len(own)} and {len(other)} images"
            return f"another {name}: {values}"
    return None


def _near(stored: float | None, computed: float) -> bool:
    value = np.nan if stored is None else stored  # JSON has no NaN
    return bool(np.isclose(value, computed, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True))


def _rank(item: Kept) -> tuple[int, float, str]:
    gain = 0.0 if item.evidence is None or item.evidence.advantage is None else item.evidence.advantage
    return VERDICTS.index(item.verdict), -gain, item.explanation.method
