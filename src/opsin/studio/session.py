"""Who may look: the token of the printed address, and the cookie that it is traded for."""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import stat
import time
from pathlib import Path

import platformdirs

KEPT = 24 * 3600  # seconds after its last start or end in which a studio goes on with the cookie of its port
OPENING = 60  # seconds in which the address that a browser was started with can be used
_LENGTH = 43  # characters of 32 random bytes in base64


class Session:
    """What opens one studio.

    The token is new at every start. The cookie is kept in a file that only this user can read, so that pages which
    are open go on when a studio is started again on its port.

    Args:
        port: of the studio; cookies are not told apart by port, so theirs carries it in its name.
        folder: of the kept files; by default the platform's folder of this user's state.
    """

    def __init__(self, port: int, folder: Path | None = None) -> None:
        folder = folder or Path(platformdirs.user_state_dir("opsin", appauthor=False)) / "studio"
        self.cookie_name = f"opsin_studio_{port}"
        self.token = secrets.token_urlsafe(32)
        self._path = folder / f"{port}.key"
        self._cookie = _kept(self._path) or secrets.token_urlsafe(32)
        self._opening: dict[str, float] = {}
        self.keep()

    @property
    def cookie(self) -> str:
        """The `Set-Cookie` header's value. It ends with the browser's session."""
        return f"{self.cookie_name}={self._cookie}; Path=/; HttpOnly; SameSite=Strict"

    def knows(self, cookie: str) -> bool:
        """Whether this is the cookie's value; compared in constant time."""
        return _equal(cookie, self._cookie)

    def trades(self, token: str) -> bool:
        """Whether a token opens the studio: the printed one does always, a browser's own does once."""
        now = time.monotonic()
        self._opening = {key: end for key, end in self._opening.items() if end > now}
        once = [key for key in self._opening if _equal(token, key)]
        for key in once:
            del self._opening[key]
        return _equal(token, self.token) or bool(once)

    def opening_token(self) -> str:
        """A token that works once, within a minute: other users of the machine can read what programs are started
        with, and a browser is started with its address."""
        token = secrets.token_urlsafe(32)
        self._opening[token] = time.monotonic() + OPENING
        return token

    def keep(self) -> bool:
        """Write the cookie down for the next start; False where that is not possible."""
        temporary = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}.tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as handle:
                handle.write(self._cookie)
            temporary.replace(self._path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            return False
        return True


def _equal(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), secret.encode())


def _kept(path: Path) -> str | None:
    """The cookie of an earlier start; None where there is none, it is old, or others could have read or written it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        with os.fdopen(descriptor, encoding="ascii") as handle:
            state = os.fstat(handle.fileno())
            text = handle.read(_LENGTH + 1)
    except (OSError, ValueError):
        return None
    private = os.name != "posix" or (state.st_uid == os.getuid() and not state.st_mode & 0o077)
    young = abs(time.time() - state.st_mtime) < KEPT
    return text if stat.S_ISREG(state.st_mode) and private and young and len(text) == _LENGTH else None
