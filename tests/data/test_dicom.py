from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest

from opsin.data import formats
from opsin.data.decode import UnreadableImage, decode, probe_image

VALUES = np.array([[0, 100, 200], [300, 400, 1000]], np.uint16)


def dicom(values: np.ndarray = VALUES, padding: bytes = b"", **tags: object) -> bytes:
    """An uncompressed DICOM file of uint8 or 16-bit integer (h, w[, 3]) or (frames, h, w) values."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid(entropy_srcs=["opsin"])
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    colour = values.ndim == 3 and values.shape[2] == 3
    dataset.Rows, dataset.Columns = values.shape[:2] if colour or values.ndim == 2 else values.shape[1:]
    if values.ndim == 3 and not colour:
        dataset.NumberOfFrames = len(values)
    dataset.SamplesPerPixel = 3 if colour else 1
    dataset.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        dataset.PlanarConfiguration = 0
    bits = values.dtype.itemsize * 8
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = int(values.dtype.kind == "i")
    for name, value in tags.items():
        setattr(dataset, name, value)
    data = values.tobytes() + padding
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OB" if bits == 8 else "OW"
    out = io.BytesIO()
    pydicom.dcmwrite(out, dataset, enforce_file_format=True)
    return out.getvalue()


def grey(data: bytes) -> list[list[int]]:
    return decode(data, "L").pixels[..., 0].tolist()


def test_the_range_of_the_values_is_the_window() -> None:
    found = decode(dicom(), "L")
    assert found.window == (0, 1000)
    assert found.pixels[..., 0].tolist() == [[0, 26, 51], [76, 102, 255]]
    assert found.source_mode == "DICOM MONOCHROME2 16-bit"


def test_slope_and_intercept_give_the_window_its_unit() -> None:
    found = decode(dicom(RescaleSlope=2, RescaleIntercept=-1000), "L")
    assert found.window == (-1000, 1000)
    assert grey(dicom(RescaleSlope=2, RescaleIntercept=-1000)) == grey(dicom())
    assert grey(dicom(RescaleSlope=-1, RescaleIntercept=0)) == [[255, 230, 204], [178, 153, 0]]


def test_monochrome1_is_inverted() -> None:
    plain, inverted = decode(dicom(), "L"), decode(dicom(PhotometricInterpretation="MONOCHROME1"), "L")
    assert np.array_equal(inverted.pixels, 255 - plain.pixels)
    assert inverted.window == plain.window
    bytes_ = VALUES.astype(np.uint8)
    assert np.array_equal(
        decode(dicom(bytes_, PhotometricInterpretation="MONOCHROME1"), "L").pixels[..., 0], 255 - bytes_
    )


def test_the_file_s_window_is_used() -> None:
    found = decode(dicom(WindowCenter=[200.5, 1], WindowWidth=[201, 2]), "L")
    assert found.window == (100, 300)
    assert "window of the file" in found.notes
    assert found.pixels[..., 0].tolist() == [[0, 0, 128], [255, 255, 255]]
    exact = decode(dicom(WindowCenter=200, WindowWidth=200, VOILUTFunction="LINEAR_EXACT"), "L")
    assert exact.window == (100, 300)


@pytest.mark.parametrize("centre_width", [(5000, 10), (-500, 10), (100, 0), (100, 1), ("", "")])
def test_a_window_that_shows_nothing_is_passed_over(centre_width: tuple[float, float]) -> None:
    assert decode(dicom(WindowCenter=centre_width[0], WindowWidth=centre_width[1]), "L").window == (0, 1000)


def test_padding_around_the_picture_does_not_count() -> None:
    values = np.array([[-2000, 0, 100]], np.int16)
    found = decode(dicom(values, PixelPaddingValue=-2000), "L")
    assert found.window == (0, 100)
    assert found.pixels[..., 0].tolist() == [[0, 0, 255]]


def test_eight_bit_grey_and_colour_stay_as_they_are() -> None:
    values = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    found = decode(dicom(values))
    assert np.array_equal(found.pixels, values)
    assert found.window is None
    assert np.array_equal(decode(dicom(values[..., 0].copy()), "L").pixels[..., 0], values[..., 0])


def test_the_first_frame() -> None:
    found = decode(dicom(np.stack([VALUES.T, VALUES.T + 9, VALUES.T + 1]).copy()), "L")
    assert (found.frames, found.window) == (3, (0, 1000))


def test_the_header() -> None:
    info = probe_image(dicom())
    assert (info.size, info.colour, info.format) == ((2, 3), False, "DICOM")
    assert probe_image(dicom(np.zeros((2, 4, 3), np.uint8))).colour


def test_bombs_and_truncated_files_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = dicom()
    for length in range(133, len(data) - 1, 7):
        with pytest.raises(UnreadableImage):
            decode(data[:length])
    monkeypatch.setattr(formats, "MAX_PIXELS", 5)
    with pytest.raises(UnreadableImage, match="3 x 2"):
        decode(data)


def test_real_files_are_read_or_refused() -> None:
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    files = sorted(folder.glob("*.dcm"))
    assert len(files) > 20
    read = {}
    for path in files:
        try:
            found = decode(path, "L")
        except UnreadableImage:
            continue
        assert probe_image(path).size == found.size
        read[path.name] = found
    assert {"CT_small.dcm", "MR_small.dcm", "MR_small_RLE.dcm", "examples_palette.dcm"} <= set(read)
    assert np.array_equal(read["MR_small.dcm"].pixels, read["MR_small_RLE.dcm"].pixels)
    assert read["CT_small.dcm"].window is not None
    assert read["CT_small.dcm"].pixels.std() > 10


def test_no_warning_leaks() -> None:
    data = dicom(padding=bytes(9))
    with pytest.warns(UserWarning, match="pixel data"):  # the plant: pydicom does warn about this one
        _ = pydicom.dcmread(io.BytesIO(data)).pixel_array
    assert decode(data, "L").window == (0, 1000)
