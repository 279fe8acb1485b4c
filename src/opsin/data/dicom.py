"""DICOM files (extra `dicom`): from bytes to Samples, in the units of the modality."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from opsin.data.formats import check_size
from opsin.data.samples import RefusedError, Samples, Window


def read_dicom(data: bytes) -> Samples:
    """The first frame, rescaled by slope and intercept (or the modality's table), with its VOI window.

    The window is the file's own first one (DICOM PS3.3 C.11.2.1.2), provided that some value lies inside it; else the
    smallest and the largest value, the padding around the picture left out. MONOCHROME1 is inverted, so that the
    largest value is black, as on a light box.

    Raises:
        RefusedError: the extra is missing, or the file holds no picture. pydicom raises errors of its own as well.
    """
    dataset = _open(data)
    frames = int(dataset.get("NumberOfFrames", 1) or 1)
    from pydicom.pixels import apply_color_lut, apply_modality_lut, pixel_array  # type: ignore[attr-defined]

    values = np.asarray(pixel_array(dataset, index=0))
    kind = str(dataset.PhotometricInterpretation)
    notes = [f"the first of {frames} frames"] if frames > 1 else []
    if kind == "PALETTE COLOR":
        values = np.asarray(apply_color_lut(values, dataset))
    if values.ndim == 3:
        return Samples(_colour(values), f"DICOM {kind}", frames, notes=tuple(notes))
    picture = values != dataset.get("PixelPaddingValue", None)
    values = np.asarray(apply_modality_lut(values, dataset))
    window = _file_window(dataset, values)
    if window is not None:
        notes.append("window of the file")
    elif values.dtype != np.uint8:
        window = _value_window(values[picture])
    return Samples(
        values=values[..., None],
        source_mode=f"DICOM {kind} {dataset.BitsStored}-bit",
        frames=frames,
        window=window,
        inverted=kind == "MONOCHROME1",
        notes=tuple(notes),
    )


def describe_dicom(data: bytes) -> tuple[tuple[int, int], bool, bool, str, str]:
    """`((height, width), colour, alpha, mode, format)` from the header alone.

    Raises:
        RefusedError: the extra is missing, or the file holds no picture.
    """
    dataset = _open(data, pixels=False)
    kind = str(dataset.PhotometricInterpretation)
    size = (int(dataset.Rows), int(dataset.Columns))
    return size, not kind.startswith("MONOCHROME"), False, f"DICOM {kind}", "DICOM"


def _open(data: bytes, pixels: bool = True) -> Any:
    try:
        import pydicom
    except ImportError:
        raise RefusedError('it is DICOM; to read it: pip install "opsin[dicom]"') from None
    dataset = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=not pixels)
    needed = ("Rows", "Columns", "PhotometricInterpretation", "BitsStored")
    missing = [name for name in needed if name not in dataset]
    if missing:
        raise RefusedError(f"the DICOM file holds no picture ({', '.join(missing)} missing)")
    check_size(int(dataset.Columns), int(dataset.Rows))
    return dataset


def _colour(values: np.ndarray) -> np.ndarray:
    values = values[..., :3]
    if values.dtype.kind == "u" and values.dtype.itemsize > 2:
        return (values >> 8 * (values.dtype.itemsize - 2)).astype(np.uint16)
    return values


def _file_window(dataset: Any, values: np.ndarray) -> Window | None:
    centre, width = _first(dataset.get("WindowCenter")), _first(dataset.get("WindowWidth"))
    if centre is None or width is None or width <= 0:
        return None
    if str(dataset.get("VOILUTFunction", "LINEAR") or "LINEAR") == "LINEAR":
        centre, width = centre - 0.5, width - 1
    low, high = centre - width / 2, centre + width / 2
    inside = low < high and values.max() > low and values.min() < high
    return (low, high) if inside else None


def _value_window(values: np.ndarray) -> Window:
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def _first(value: Any) -> float | None:
    if value is None or value == "":
        return None
    try:
        number = float(value if isinstance(value, str) or not hasattr(value, "__len__") else value[0])
    except (TypeError, ValueError, IndexError):
        return None
    return number if np.isfinite(number) else None
