"""Finding out quickly that a download cannot work, before a library retries for minutes."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request

PATIENCE = 5.0  # seconds for one answer


def why_unreachable(address: str, patience: float = PATIENCE) -> str | None:
    """Why the host of `address` does not answer within `patience` seconds, or None when it does.

    Any HTTP answer counts, also a refusal: the library that downloads will report that one.
    """
    answer: list[str | None] = []

    def ask() -> None:
        try:
            request = urllib.request.Request(address, method="HEAD")
            with urllib.request.urlopen(request, timeout=patience):
                answer.append(None)
        except urllib.error.HTTPError:
            answer.append(None)
        except urllib.error.URLError as error:
            answer.append(str(error.reason))
        except (OSError, ValueError) as error:
            answer.append(str(error))

    # Looking up a name has no timeout of its own, so it waits in a thread that may be left behind.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(patience + 1)
    return answer[0] if answer else f"no answer within {patience:g} seconds"
