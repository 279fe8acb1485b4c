"""The guard before every route: who asks, from which page, and what answers may do in a browser.

A server on 127.0.0.1 is reached by every page of every site that a person has open, by names that a site's owner lets
point to 127.0.0.1 (DNS rebinding), and by other users of the machine. So nothing is answered unless Host is one of
our names, Origin (where a browser sends one) is ours exactly, and the session's cookie is there.
"""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opsin.studio.session import Session

REFUSED = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">{again}<title>opsin studio</title></head>
<body><h1>opsin studio</h1>
<p>This page opens with the address that <code>opsin studio</code> printed last in the terminal.</p>
<p lang="zh-CN">请用 <code>opsin studio</code> 在终端最后打印的地址打开本页。</p>
</body></html>
"""
AGAIN = '<meta http-equiv="refresh" content="0; url=./?">'


def content_policy(port: int) -> str:
    """The Content-Security-Policy of every answer: scripts from files of the studio only, nothing from elsewhere."""
    sockets = " ".join(f"ws://{host}" for host in hosts(port))
    return "; ".join([
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "font-src 'self'",
        f"connect-src 'self' {sockets}",
        "worker-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ])  # fmt: skip


def hosts(port: int) -> tuple[str, ...]:
    """The names under which a browser reaches the studio: as Host they carry the port, unless it is HTTP's own."""
    names = ("127.0.0.1", "localhost")
    return tuple(f"{name}:{port}" for name in names) + (names if port == 80 else ())


class Guard:
    """Refuses what is not the person's own page, and adds the headers that hold for every answer.

    Args:
        app: what is guarded.
        session: the token and the cookie.
        port: on which the studio listens.
    """

    def __init__(self, app: ASGIApp, session: Session, port: int) -> None:
        self._app, self._session, self._hosts = app, session, hosts(port)
        self._headers = {
            "content-security-policy": content_policy(port),
            "x-content-type-options": "nosniff",
            "cache-control": "no-store",
            "referrer-policy": "no-referrer",
            "x-frame-options": "DENY",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "permissions-policy": "camera=(), geolocation=(), microphone=()",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        answer = self._stop(scope)
        if answer is None:
            await self._app(scope, receive, self._with_headers(send))
        elif scope["type"] == "websocket":
            await _refuse_socket(scope, self._with_headers(send), answer)
        else:
            await answer.send(self._with_headers(send))

    def _stop(self, scope: Scope) -> _Answer | None:
        """What to answer instead of letting the request through, or None."""
        headers = Headers(scope=scope)
        names = headers.getlist("host")
        if len(names) != 1 or names[0].lower() not in self._hosts:
            return _Answer(400, "this name is not one of the studio's")
        origins = headers.getlist("origin")
        if origins not in ([], [f"http://{names[0].lower()}"]) or (scope["type"] == "websocket" and not origins):
            return _Answer(403, "only the studio's own page may ask")
        if _from_elsewhere(scope, headers):
            return _Answer(403, "only the studio's own page may ask")
        if scope["type"] == "http" and (refused := _refused_request(scope["method"], headers)):
            return refused
        return self._require_session(scope, headers)

    def _require_session(self, scope: Scope, headers: Headers) -> _Answer | None:
        front = scope["type"] == "http" and scope["path"] == "/"
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        tokens = [value for key, value in pairs if key == "token"]
        known = any(self._session.knows(value) for value in _cookies(headers, self._session.cookie_name))
        if front and tokens:
            rest = urlencode([pair for pair in pairs if pair[0] != "token"])
            if len(tokens) == 1 and self._session.trades(tokens[0]):
                return _Answer(303, "", {"location": f"/?{rest}".rstrip("?"), "set-cookie": self._session.cookie})
            if known:  # an old address, opened again in a browser that is let in anyway
                return _Answer(303, "", {"location": f"/?{rest}".rstrip("?")})
        if known:
            return None
        if not front:
            return _Answer(403, "open the address that opsin studio printed")
        # A link on another site's page does not bring a SameSite=Strict cookie along, although it is there; asked
        # again by this page itself, the browser does.
        again = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        text = REFUSED.format(again=AGAIN if again else "")
        return _Answer(403, text, {"content-type": "text/html; charset=utf-8"})

    def _with_headers(self, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
            await send(message)

        return sending


class _Answer:
    """A short answer of the guard's own."""

    def __init__(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        self.status, self.body = status, text.encode()
        given = {"content-type": "text/plain; charset=utf-8", **(headers or {}), "content-length": str(len(self.body))}
        self.headers = [(name.encode(), value.encode("latin-1")) for name, value in given.items()]

    async def send(self, send: Send, kind: str = "http") -> None:
        await send({"type": f"{kind}.response.start", "status": self.status, "headers": self.headers})
        await send({"type": f"{kind}.response.body", "body": self.body})


async def _refuse_socket(scope: Scope, send: Send, answer: _Answer) -> None:
    if "websocket.http.response" in scope.get("extensions", {}):
        await answer.send(send, "websocket.http")
    else:
        await send({"type": "websocket.close", "code": 1008})


def _from_elsewhere(scope: Scope, headers: Headers) -> bool:
    """Whether the browser says that another site's page, or one of another port, wants this (Fetch Metadata). Only a
    link to the front page may come from there."""
    if headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
        return False
    link = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    return not (link and scope["type"] == "http" and scope["path"] == "/")


def _refused_request(method: str, headers: Headers) -> _Answer | None:
    """Nothing is sent here but questions over the socket: a body is refused before a byte of it is read."""
    if method != "GET":
        return _Answer(405, "only GET", {"allow": "GET"})
    if "transfer-encoding" in headers or headers.get("content-length", "0") != "0":
        return _Answer(413, "no route takes a body", {"connection": "close"})
    return None


def _cookies(headers: Headers, name: str) -> list[str]:
    found = []
    for line in headers.getlist("cookie"):
        for part in line.split(";"):  # SimpleCookie drops the whole line over one strange cookie of another server
            try:
                cookie = SimpleCookie(part.strip())
            except CookieError:
                continue
            found += [cookie[name].value] if name in cookie else []
    return found
