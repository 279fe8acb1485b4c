"""The token and the cookie, and what of them outlives a start."""

import os
import stat
import time

import pytest

from opsin.studio import session as module
from opsin.studio.session import KEPT, Session

posix = pytest.mark.skipif(os.name != "posix", reason="files have no modes here")


@pytest.fixture
def first(tmp_path):
    return Session(8470, tmp_path / "keys")


def again(tmp_path, port=8470):
    return Session(port, tmp_path / "keys")


def value(session):
    return session.cookie.partition("=")[2].partition(";")[0]


def test_the_next_start_on_the_port_has_the_cookie_and_another_token(first, tmp_path):
    assert again(tmp_path).knows(value(first))
    assert again(tmp_path).token != first.token
    assert not again(tmp_path, port=8471).knows(value(first))
    assert not first.knows(first.token)
    assert not first.trades(value(first))


@posix
def test_only_this_user_can_read_the_file(first, tmp_path):
    (file,) = (tmp_path / "keys").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@posix
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
def test_a_file_that_others_could_touch_is_not_believed(first, tmp_path, mode):
    (tmp_path / "keys" / "8470.key").chmod(mode)
    assert not again(tmp_path).knows(value(first))
    assert stat.S_IMODE((tmp_path / "keys" / "8470.key").stat().st_mode) == 0o600


@posix
def test_a_link_is_not_followed(first, tmp_path):
    file = tmp_path / "keys" / "8470.key"
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    assert not again(tmp_path).knows(value(first))
    assert not file.is_symlink()


@pytest.mark.parametrize("age", [KEPT + 60, -KEPT - 60])
def test_an_old_file_is_not_believed(first, tmp_path, age):
    file = tmp_path / "keys" / "8470.key"
    os.utime(file, (time.time() - age,) * 2)
    assert not again(tmp_path).knows(value(first))


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 44, b"x" * 10**6, "é".encode() * 30])
def test_a_damaged_file_is_not_believed(first, tmp_path, content):
    (tmp_path / "keys" / "8470.key").write_bytes(content)
    second = again(tmp_path)
    assert len(value(second)) == 43
    assert not second.knows(content[:43].decode("latin-1"))


@posix
@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_no_obstacle(tmp_path):
    (tmp_path / "keys").mkdir(mode=0o500)
    assert not Session(8470, tmp_path / "keys").keep()


def test_a_file_in_place_of_the_folder_is_no_obstacle(tmp_path):
    (tmp_path / "keys").write_text("")
    found = again(tmp_path)
    assert not found.keep()
    assert found.trades(found.token)


def test_a_browsers_token_works_once(first):
    token = first.opening_token()
    assert token != first.token
    assert first.trades(token)
    assert not first.trades(token)
    assert first.trades(first.token)
    assert first.trades(first.token)


def test_a_browsers_token_ends(first, monkeypatch):
    token = first.opening_token()
    later = time.monotonic() + module.OPENING + 1
    monkeypatch.setattr(module.time, "monotonic", lambda: later)
    assert not first.trades(token)


@pytest.mark.parametrize("given", ["", "x", "é", "\udcff", "\0"])
def test_any_text_can_be_compared(first, given):
    assert not first.knows(given)
    assert not first.trades(given)


def test_secrets_are_compared_in_constant_time(first, monkeypatch):
    compared = []
    monkeypatch.setattr(module.hmac, "compare_digest", lambda a, b: compared.append((a, b)) or a == b)
    assert first.trades(first.token)
    assert first.knows(value(first))
    assert compared == [(first.token.encode(),) * 2, (value(first).encode(),) * 2]
