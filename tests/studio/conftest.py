"""A running studio with simple answers, and a page's side of its socket."""

from __future__ import annotations

import asyncio
import http.client
import itertools
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.sync.client import connect

from opsin.files import write_json
from opsin.reporting.views import wire
from opsin.studio.desk import Desk
from opsin.studio.runs import Place, Shelf
from opsin.studio.serve import listen, studio_server
from opsin.studio.session import Session

COMMAND = (sys.executable, str(Path(__file__).parent / "answering.py"))


@pytest.fixture(scope="session")
def worker_command():
    return COMMAND


@pytest.fixture
def make_run():
    """Writes what makes a folder a run, as far as the server looks."""

    def make(folder: Path, status: str = "finished") -> Path:
        write_json(folder / "run.json", {"format": 1, "status": status, "classes": ["a", "b"]})
        return folder

    return make


@pytest.fixture(scope="session")
def page_folder(tmp_path_factory):
    """Stands for the built page."""
    folder = tmp_path_factory.mktemp("static")
    (folder / "studio.html").write_text("<!DOCTYPE html><title>opsin</title><script src='/static/a.js'></script>")
    (folder / "a.js").write_text("document.title = 'script ran';")
    (folder / "views").mkdir()
    (folder / "views" / "flow.js").write_text("export default {};")
    (folder / "secret.txt").write_text("not served")
    return folder


class Running:
    """A studio in a thread."""

    def __init__(self, folder: Path, keys: Path, static: Path, port: int = 0, most: int = 4) -> None:
        self.listening = listen(port)
        self.port = self.listening.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        self.session = Session(self.port, keys)
        self.cookie = self.session.cookie.partition(";")[0]
        self.desk = Desk(Place(Shelf(folder)), COMMAND, most)
        self.server = studio_server(self.desk, self.session, self.port, static)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()

    async def _serve(self) -> None:
        await self.desk.begin()
        await self.server.serve(sockets=[self.listening])

    def stop(self) -> None:
        self.server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive()

    def get(self, path: str, cookie: bool = True, method: str = "GET", body: bytes | None = None, **headers: str):
        """A raw answer: status, headers, body. Header names are given with underscores."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        client.request(method, path, body=body, headers={**({"Cookie": self.cookie} if cookie else {}), **given})
        answer = client.getresponse()
        found = answer.status, dict(answer.getheaders()), answer.read()
        client.close()
        return found

    def subjects(self):
        import json

        return json.loads(self.get("/api/subjects")[2])["subjects"]

    @contextmanager
    def page(self, subject: str | None = None):
        """A page's socket; by default of the first subject."""
        subject = self.subjects()[0]["id"] if subject is None else subject
        with connect(
            f"ws://{self.host}/ws?subject={subject}",
            origin=f"http://{self.host}",
            additional_headers={"Cookie": self.cookie},
            max_size=None,
            proxy=None,
        ) as socket:
            yield Talk(socket)


class Talk:
    """A page's side of the socket."""

    def __init__(self, socket) -> None:
        self.socket = socket
        self._ids = (f"q{number}" for number in itertools.count())
        self.pushed = []

    def send(self, question: str, **args) -> str:
        document, buffers = wire.pack(args)
        id = next(self._ids)
        self.socket.send(wire.encode({"kind": "ask", "id": id, "question": question, "args": document}, buffers))
        return id

    def cancel(self, id: str) -> None:
        self.socket.send(wire.encode({"kind": "cancel", "id": id}, []))

    def read(self, timeout: float = 20.0):
        content, buffers = wire.decode(self.socket.recv(timeout=timeout))
        if content["kind"] == "answer":
            content["answer"] = wire.unpack(content["answer"], buffers)
        return content

    def wait(self, id: str):
        """The last message about a question; what else comes meanwhile is kept in `pushed`."""
        while True:
            content = self.read()
            if content.get("id") == id and content["kind"] != "progress":
                return content
            self.pushed.append(content)

    def ask(self, question: str, **args):
        return self.wait(self.send(question, **args))

    def wait_changed(self, *questions: str) -> None:
        """Until the server has said of all these questions that they changed."""
        left, end = set(questions), time.monotonic() + 20
        while left:
            content = self.read(timeout=max(end - time.monotonic(), 0.01))
            left -= set(content["questions"]) if content["kind"] == "changed" else set()


@pytest.fixture
def studio(tmp_path, page_folder, make_run):
    """A studio over a folder with two runs; called with other arguments it starts another one."""
    started = []
    make_run(tmp_path / "runs" / "first")
    make_run(tmp_path / "runs" / "second", "running")

    def start(**options):
        started.append(Running(tmp_path / "runs", tmp_path / "keys", page_folder, **options))
        return started[-1]

    yield start
    for running in started:
        if running._thread.is_alive():
            running.stop()


@pytest.fixture(scope="module")
def shared_studio(tmp_path_factory, page_folder):
    """One studio for tests that leave it as it is."""
    folder = tmp_path_factory.mktemp("shared")
    write_json(folder / "runs" / "digits" / "run.json", {"format": 1, "status": "finished", "classes": []})
    running = Running(folder / "runs", folder / "keys", page_folder)
    yield running
    running.stop()
