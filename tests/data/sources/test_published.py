from __future__ import annotations

from pathlib import Path

import pytest
import torchvision.datasets as torchvision_datasets

from opsin.data.sources.published import SETS, data_folder, images_file, is_here, is_published, is_unpacked


def test_the_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("OPSIN_DATA", str(tmp_path))
    assert data_folder() == tmp_path
    monkeypatch.setenv("OPSIN_DATA", "~/images")
    assert data_folder() == Path.home() / "images"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPSIN_DATA", "images")
    assert data_folder() == tmp_path / "images"
    for nothing in (lambda: monkeypatch.setenv("OPSIN_DATA", ""), lambda: monkeypatch.delenv("OPSIN_DATA")):
        nothing()
        assert "opsin" in data_folder().parts
        assert data_folder().is_absolute()


@pytest.mark.parametrize("name", SETS)
def test_a_set_is_described_whole(name: str):
    published = SETS[name]
    assert hasattr(torchvision_datasets, published.kind)
    assert published.images > published.classes > 1
    assert published.files
    # what is not IDX has to be unpacked; validation images come from somewhere
    assert (published.idx is None) == bool(published.unpacked)
    assert bool(published.validation) == (set(published.splits) == {"train", "test"})
    if published.names:
        assert len(list(filter(None, published.names))) == published.classes


def test_what_is_here(tmp_path: Path):
    cifar, mnist = SETS["cifar10"], SETS["mnist"]
    assert not is_here(cifar, tmp_path)
    (tmp_path / cifar.files[0]).write_bytes(b"x")
    assert (is_published(cifar, tmp_path), is_unpacked(cifar, tmp_path), is_here(cifar, tmp_path)) == (
        True,
        False,
        True,
    )
    (tmp_path / cifar.unpacked[0]).mkdir()
    assert is_unpacked(cifar, tmp_path)
    for file in mnist.files:
        assert not is_here(mnist, tmp_path)
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(b"x")
    assert images_file(mnist, tmp_path) == tmp_path / "MNIST/raw/train-images-idx3-ubyte.gz"
    assert not is_unpacked(mnist, tmp_path)
    assert images_file(cifar, tmp_path) is None
