"""Running the studio: its port, its address, its beginning and end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path

import uvicorn

from opsin.errors import OpsinError
from opsin.studio.app import STATIC, studio_app
from opsin.studio.desk import Desk
from opsin.studio.lanes import WORKER
from opsin.studio.runs import Place
from opsin.studio.session import Session
from opsin.studio.socket import MOST_BYTES

HOST = "127.0.0.1"
PORTS = range(8470, 8480)  # the first free one is taken where none is asked for
GRACE = 1  # seconds that open connections get at the end


def serve(
    place: Place,
    *,
    ready: Callable[[str, int], None],
    port: int | None = None,
    browser: bool = False,
    command: Sequence[str] = WORKER,
    static: Path = STATIC,
) -> None:
    """Run the studio until Ctrl-C or SIGTERM.

    Args:
        place: what can be opened.
        ready: told the address, with its token, and the port.
        port: to listen on; 0: any; None: the first free one of PORTS.
        browser: open it in the person's browser.
        command: starts a worker.
        static: the folder of the built page.

    Raises:
        OpsinError: the port is in use, or what the command line named cannot be opened.
    """
    # Ctrl-C is how a studio is ended: no error
    with listen(port) as listening, contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(listening, Desk(place, command), ready, browser, static))


def studio_server(desk: Desk, session: Session, port: int, static: Path = STATIC) -> uvicorn.Server:
    """The server, which listens on the sockets that its `serve` is given."""
    config = uvicorn.Config(
        studio_app(desk, session, port, static),
        log_level="warning",
        access_log=False,
        lifespan="on",
        ws="websockets-sansio",
        ws_max_size=MOST_BYTES,
        ws_per_message_deflate=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
    )
    return uvicorn.Server(config)


async def _serve(
    listening: socket.socket, desk: Desk, ready: Callable[[str, int], None], browser: bool, static: Path
) -> None:
    port = listening.getsockname()[1]
    session = Session(port)
    try:
        await desk.begin()
        ready(f"http://{HOST}:{port}/?token={session.token}", port)
        if browser:
            _show(f"http://{HOST}:{port}/?token={session.opening_token()}")
        await studio_server(desk, session, port, static).serve(sockets=[listening])
    finally:
        await desk.close()
        session.keep()


def _show(address: str) -> None:
    # some browsers return when they are closed
    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


def listen(port: int | None) -> socket.socket:
    """A socket of this machine alone that listens already: what asks before the server runs waits for it.

    Raises:
        OpsinError: the port, or each of PORTS, is in use.
    """
    wanted = PORTS if port is None else range(port, port + 1)
    reason = ""
    for number in wanted:
        try:
            return _bound(number)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
    ports = f"{wanted[0]}" if len(wanted) == 1 else f"{wanted[0]} to {wanted[-1]}"
    raise OpsinError(f"port {ports} cannot be listened on ({reason}); end what uses it, or give another --port")


def _bound(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # A port whose studio has just ended can be taken again; on Windows the same flag would take it from a program that
    # listens on it.
    flag = socket.SO_REUSEADDR if os.name == "posix" else socket.SO_EXCLUSIVEADDRUSE  # type: ignore[attr-defined]
    listening.setsockopt(socket.SOL_SOCKET, flag, 1)
    try:
        listening.bind((HOST, port))
        listening.listen(128)
    except BaseException:
        listening.close()
        raise
    return listening
