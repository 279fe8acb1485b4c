"""The studio's routes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, WebSocket
from fastapi.responses import FileResponse

from opsin.studio.desk import Desk
from opsin.studio.follow import EVERY
from opsin.studio.security import Guard
from opsin.studio.session import Session
from opsin.studio.socket import Page, list_subjects

STATIC = Path(__file__).parent.parent / "reporting" / "static"
PAGE = "studio.html"
# What is served, whatever a system's own table says: with nosniff a script of another type would not run.
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
}


def studio_app(desk: Desk, session: Session, port: int, static: Path = STATIC) -> Guard:
    """The studio as an ASGI application, guarded.

    Args:
        desk: opens subjects.
        session: who may look.
        port: on which it will listen.
        static: the folder of the built page.
    """
    app = FastAPI(lifespan=lambda _: _following(desk), docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/")
    async def page() -> FileResponse:
        return _file(static, PAGE)

    @app.get("/static/{path:path}")
    async def file(path: str) -> FileResponse:
        return _file(static, path)

    @app.get("/api/subjects")
    async def subjects() -> dict[str, Any]:
        return {"subjects": await list_subjects(desk)}

    @app.websocket("/ws")
    async def socket(socket: WebSocket, subject: str = "") -> None:
        await socket.accept()
        await Page(socket, desk).talk(subject)

    return Guard(app, session, port)


def _file(folder: Path, path: str) -> FileResponse:
    with contextlib.suppress(OSError, ValueError):  # a name that no file can have
        file = (folder / path).resolve()
        if file.is_relative_to(folder.resolve()) and file.suffix in TYPES and file.is_file():
            return FileResponse(file, media_type=TYPES[file.suffix])
    raise HTTPException(404)


@contextlib.asynccontextmanager
async def _following(desk: Desk) -> AsyncIterator[None]:
    task = asyncio.ensure_future(follow(desk))
    try:
        yield
    finally:
        task.cancel()
        await desk.close()


async def follow(desk: Desk) -> None:
    """Tell pages what changed on the disk: in the run that they show, and in the list of what there is."""
    before = await _standing(desk)
    while True:
        await asyncio.sleep(EVERY)
        desk.tidy()
        if not desk.pages:
            continue
        now = await _standing(desk)
        if now != before:
            for page in list(desk.pages):
                page.push({"kind": "changed", "questions": ["subjects"]})
        before = now
        for subject in desk.looked_at():
            if questions := await asyncio.to_thread(subject.changes):
                for page in list(subject.pages):
                    page.push({"kind": "changed", "questions": questions})


async def _standing(desk: Desk) -> set[tuple[str, str]]:
    """What there is and how it stands; the time of a run that goes on changes all along."""
    return {(entry["id"], entry["status"]) for entry in await list_subjects(desk)}
