"""What another server's failures mean to our own clients. Pure.

Messages are one bounded line without the gateway's key. A refused key is the gateway's fault and
not the client's, so what the server says of it is not passed on: some repeat parts of the key.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

from sparkcode.errors import EngineError, EngineUnreachableError
from sparkcode.protocol.events import ErrorBody

UPSTREAM_KEY_ENV: Final = "SPARKCODE_UPSTREAM_API_KEY"

UNREACHABLE: Final = "upstream_unreachable"
UNAUTHORIZED: Final = "upstream_unauthorized"
TIMEOUT: Final = "upstream_timeout"
BROKEN: Final = "upstream_error"

MAX_MESSAGE: Final = 500
_LATER: Final = (429, 503, 504, 529)
"""529 is what some services say for 503."""
_TOO_LONG: Final = re.compile(
    r"context[ _](length|window|size)|exceeds? the (available )?context|prompt is too long", re.I
)
_WAIT: Final = re.compile(r"try again in (\d+(?:\.\d+)?)\s*(ms|s)\b", re.I)


def unreachable(error: EngineUnreachableError) -> EngineError:
    """What the link says of itself names the URL and the reason."""
    return EngineError(f"the upstream: {_line(str(error))}", UNREACHABLE)


def silent(url: str, seconds: float) -> EngineError:
    return EngineError(f"the upstream at {url} said nothing for {seconds:g} s", TIMEOUT)


def cut(url: str) -> EngineError:
    return EngineError(
        f"the upstream at {url} broke off before its answer was complete; ask again", BROKEN
    )


def unusable(url: str, why: str) -> EngineError:
    return EngineError(f"the upstream at {url} sent what is no answer: {_line(why)}", BROKEN)


def key_refused(url: str) -> EngineError:
    return EngineError(
        f"the upstream at {url} refused the gateway's key; set {UPSTREAM_KEY_ENV} "
        "or --upstream-key-file where the gateway runs",
        UNAUTHORIZED,
    )


def refused(url: str, status: int, body: ErrorBody, retry_seconds: float = 0.0) -> EngineError:
    """The failure that an answer with an error status, or an ``error`` frame, is."""
    message = _line(body.message) or f"HTTP {status}"
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return key_refused(url)
    if status in _LATER:
        return _later(f"the upstream: {message}", _busy(status, body), retry_seconds)
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED) and not _known(body):
        return EngineError(
            f"the upstream at {url} has no such route (HTTP {status}): are its URL and --wire "
            "right?",
            BROKEN,
        )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return EngineError(f"the upstream failed (HTTP {status}): {message}", BROKEN)
    error = failed(message, body.code or "invalid_prompt")
    return EngineError(str(error), error.code, error.retry_seconds, status)


def failed(message: str, code: str) -> EngineError:
    """A failure that the other server has named itself, in its own words."""
    if code in ("invalid_prompt", BROKEN, "server_error") and _TOO_LONG.search(message):
        code = "context_length_exceeded"
    return _later(_line(message), code, 0.0)


def without(key: str, error: EngineError) -> EngineError:
    """``error`` with no trace of ``key``."""
    if not key or key not in str(error):
        return error
    told = str(error).replace(key, "***")
    return EngineError(told, error.code, error.retry_seconds, error.status)


def _later(message: str, code: str, retry_seconds: float) -> EngineError:
    """With the time to wait as part of the message, which is where clients look for it."""
    said = _WAIT.search(message)
    if said is not None:
        unit = 0.001 if said[2].lower() == "ms" else 1.0
        return EngineError(message, code, retry_seconds or float(said[1]) * unit)
    if retry_seconds > 0:
        message = f"{message}; try again in {retry_seconds:g}s"
    return EngineError(message, code, retry_seconds)


def _busy(status: int, body: ErrorBody) -> str:
    if "insufficient_quota" in (body.code, body.type):
        return "insufficient_quota"
    limited = status == HTTPStatus.TOO_MANY_REQUESTS
    return "rate_limit_exceeded" if limited else "server_is_overloaded"


def _known(body: ErrorBody) -> bool:
    """Whether the error is one of a server that knew the route."""
    return body.code is not None or "model" in body.message.lower()


def _line(text: str) -> str:
    shown = "".join(char if char.isprintable() else " " for char in text)
    line = " ".join(shown.split())
    return line if len(line) <= MAX_MESSAGE else f"{line[:MAX_MESSAGE]}..."
