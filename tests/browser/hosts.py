"""The three hosts as a test starts them: a studio's process, a kernel behind a notebook's page, what pages may do."""

from __future__ import annotations

import base64
import json
import os
import queue
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

WEB = Path(__file__).parents[2] / "web"
OWN = ("blob:", "data:", "about:")
OPSIN = (sys.executable, "-c", "from opsin.cli import main; main()")


def guarded(context: Any, local: str) -> tuple[list[str], list[str]]:
    """Abort what leaves `local`; the lists of what wanted to, and of what the pages say on the console, growing."""
    left: list[str] = []
    said: list[str] = []

    def decide(route: Any) -> None:
        url = route.request.url
        if url.startswith((local, *OWN)):
            route.continue_()
        else:
            left.append(url)
            route.abort()

    def follow(page: Any) -> None:
        page.on("console", lambda message: message.type in ("error", "warning") and said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("websocket", lambda socket: is_of(socket.url, local) or left.append(socket.url))

    context.route("**/*", decide)
    context.on("page", follow)
    return left, said


def is_of(socket: str, local: str) -> bool:
    """Whether a WebSocket's address belongs to the pages of an origin."""
    return socket.startswith(local.replace("http://", "ws://", 1))


class Studio:
    """A process of `opsin studio`.

    Args:
        arguments: of the command.
        port: to listen on; 0: any.
        state: where it keeps its keys.
        folder: in which it is started.
    """

    def __init__(self, arguments: tuple[object, ...], port: int, state: Path, folder: Path | None = None) -> None:
        command = [*OPSIN, "studio", *map(str, arguments), "--no-browser", "--port", str(port)]
        environment = {**os.environ, "XDG_STATE_HOME": str(state), "PYTHONWARNINGS": "default"}
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=folder)
        assert self._process.stdout is not None
        lines = iter(self._process.stdout.readline, "")
        self.printed = next((line.strip() for line in lines if line.startswith("http://")), "")
        if not self.printed:
            self.stop()
            raise AssertionError("the studio ended without an address")
        self.origin = self.printed.partition("/?")[0]
        self.port = int(self.origin.rpartition(":")[2])

    def subjects(self) -> dict[str, str]:
        """The ids of what can be opened, by name."""
        request = urllib.request.Request(f"{self.origin}/api/subjects", headers={"Cookie": self._cookie()})
        with urllib.request.urlopen(request) as answer:
            return {entry["name"]: entry["id"] for entry in json.load(answer)["subjects"]}

    def address(self, subject: str | None, view: str, **chosen: object) -> str:
        """The address of a view; `subject` by its name."""
        given = {"view": view, **chosen}
        if subject is not None:
            given["subject"] = self.subjects()[subject]
        return f"{self.printed}#{urlencode(given, quote_via=quote)}"

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        self._process.terminate()
        self._process.wait(30)
        if self._process.stdout:
            self._process.stdout.close()

    def _cookie(self) -> str:
        class Stay(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *_: Any) -> None:
                return None

        try:
            urllib.request.build_opener(Stay).open(self.printed)
        except urllib.error.HTTPError as answer:
            return answer.headers["set-cookie"].partition(";")[0]
        raise AssertionError("the studio did not trade its token")


# What JupyterLab's widget manager and anywidget do: the module from a blob, the state, messages in both directions.
MANAGER = """async ([module, state]) => {
  const toText = (view) => {
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    let text = "";
    for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
    return btoa(text);
  };
  const toView = (text) => new DataView(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
  const listeners = {};
  const tell = (event, ...given) => [...(listeners[event] ?? [])].forEach((listener) => listener(...given));
  const waiting = new Set();
  const take = (messages) => {
    for (const [content, buffers] of messages) {
      if (content.kind !== "progress") waiting.delete(content.id);
      tell("msg:custom", content, buffers.map(toView));
    }
  };
  const changed = {};
  const model = {
    get: (key) => state[key],
    set(key, value) {
      state[key] = changed[key] = value;
      tell(`change:${key}`);
    },
    save_changes: () => void window.kernel("state", { ...changed }, []),
    async send(content, _callbacks, buffers = []) {
      if (content.kind === "ask") waiting.add(content.id);
      take(await window.kernel("message", content, buffers.map(toText)));
    },
    on: (event, listener) => (listeners[event] ??= new Set()).add(listener),
    off: (event, listener) => listeners[event]?.delete(listener),
  };
  setInterval(async () => waiting.size && take(await window.kernel("poll", {}, [])), 50);
  const { default: widget } = await import(URL.createObjectURL(new Blob([module], { type: "text/javascript" })));
  window.model = model;
  widget.render({ model, el: document.getElementById("output") });
}"""


class Kernel:
    """The Python side of a widget, and what carries its messages to a page and back."""

    def __init__(self, view: Any) -> None:
        self.view = view
        self._said: queue.SimpleQueue[tuple[dict[str, Any], list[bytes]]] = queue.SimpleQueue()
        view.send = lambda content, buffers: self._said.put((content, buffers))

    def show(self, page: Any) -> None:
        """Render the widget in an empty page."""
        page.expose_function("kernel", self._heard)
        page.goto("about:blank")
        page.set_content('<!DOCTYPE html><html lang="en"><title>notebook</title><div id="output"></div>')
        state = self.view.get_state()
        keys = ("host", "view", "views", "selection", "language", "theme", "motion")
        page.evaluate(MANAGER, [state["_esm"], {key: state[key] for key in keys}])

    def close(self) -> None:
        self.view.close()

    def _heard(self, kind: str, content: dict[str, Any], buffers: list[str]) -> list[Any]:
        if kind == "state":
            self.view.set_state(content)
        elif kind == "message":
            self.view._handle_custom_msg(content, [memoryview(base64.b64decode(text)) for text in buffers])
        found = []
        while not self._said.empty():
            said, raw = self._said.get()
            found.append((said, [base64.b64encode(item).decode() for item in raw]))
        return found


def texts(language: str) -> dict[str, str]:
    """The views' dictionary of a language, read from its sources."""
    found: dict[str, str] = {}
    for file in sorted((WEB / "src/language" / language).glob("*.ts")):
        for key, text in re.findall(r'^\s*"([\w.]+)":\s*"((?:[^"\\]|\\.)*)",?$', file.read_text("utf-8"), re.MULTILINE):
            found[key] = json.loads(f'"{text}"')
    assert len(found) > 300
    return found
