"""The port."""

import socket

import pytest

from opsin.errors import OpsinError
from opsin.studio import serve as module
from opsin.studio.serve import listen


@pytest.fixture
def taken():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_it_listens_on_this_machine_alone():
    with listen(0) as found:
        assert found.getsockname()[0] == "127.0.0.1"


def test_a_port_in_use_is_refused(taken):
    with pytest.raises(OpsinError, match=rf"^port {taken} cannot be listened on \(.*\); end what uses it, or give"):
        listen(taken)


@pytest.mark.parametrize("port", [-1, 65536, 10**9])
def test_a_number_that_is_no_port_is_refused(port):
    with pytest.raises(OpsinError, match=f"port {port} cannot be listened on"):
        listen(port)


def test_the_first_free_port_is_taken_where_none_is_asked_for(taken, monkeypatch):
    monkeypatch.setattr(module, "PORTS", (taken, 0))
    with listen(None) as found:
        assert found.getsockname()[1] not in (0, taken)
    monkeypatch.setattr(module, "PORTS", (taken, taken))
    with pytest.raises(OpsinError, match=f"port {taken} to {taken} cannot"):
        listen(None)


def test_a_port_whose_studio_has_ended_can_be_taken_again(studio):
    first = studio()
    with first.page() as page:
        page.ask("echo")
        first.stop()
    studio(port=first.port)
