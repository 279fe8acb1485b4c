"""A worker opens no network address."""

import subprocess
import sys

import pytest

from opsin.errors import OpsinError
from opsin.studio import offline

OFFLINE = """
import socket, urllib.request
from opsin.errors import OpsinError
from opsin.studio.offline import network, stay_offline
stay_offline()
def refused(work):
    try:
        work()
    except OpsinError as error:
        return "studio never does" in str(error)
    except OSError as error:
        print(error)
    return False
listening = socket.create_server(("127.0.0.1", 0))
assert refused(lambda: socket.create_connection(listening.getsockname()))
assert refused(lambda: socket.getaddrinfo("example.org", 80))
assert refused(lambda: urllib.request.urlopen("http://127.0.0.1:9/"))
assert refused(lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9)))
one, other = socket.socketpair()
one.send(b"x"); other.recv(1)
with network():
    socket.create_connection(listening.getsockname()).close()
assert refused(lambda: socket.create_connection(listening.getsockname()))
print("offline")
"""


def test_a_worker_opens_no_address():
    # in a process of its own: the hook cannot be taken out again
    found = subprocess.run([sys.executable, "-c", OFFLINE], capture_output=True, text=True, check=False)
    assert found.stdout.strip() == "offline", found.stderr


def test_the_hook_is_what_refuses():
    assert offline._refuse_addresses("open", ("x",)) is None
    with pytest.raises(OpsinError):
        offline._refuse_addresses("socket.connect", (None, ("127.0.0.1", 80)))
    assert offline._refuse_addresses("socket.connect", (None, "/run/socket")) is None
