"""Who may ask.

With a key, only ``Authorization: Bearer KEY``. Without one the server listens on loopback only and
takes any key or none; but a web page in the user's browser is not the user, so a request that names
a foreign origin is refused: browsers always name it when they open a WebSocket or post across
sites.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from sparkcode.errors import UsageError
from sparkcode.protocol.events import ErrorBody


@dataclass(frozen=True, slots=True)
class Gate:
    """Checks requests; ``key`` empty means that none is asked for."""

    key: str = ""

    def refusal(self, headers: Mapping[str, str]) -> tuple[int, ErrorBody] | None:
        """HTTP status and body for a request that may not pass, from its lower-case headers."""
        if self.key:
            scheme, _, given = headers.get("authorization", "").partition(" ")
            right = secrets.compare_digest(given.strip().encode(), self.key.encode())
            if right and scheme.casefold() == "bearer":
                return None
            return 401, ErrorBody(
                message="Incorrect API key provided.",
                type="invalid_request_error",
                code="invalid_api_key",
            )
        if not _is_local_origin(headers.get("origin")):
            return 403, ErrorBody(
                message="A web page may not use a server that has no API key.",
                type="invalid_request_error",
                code="forbidden_origin",
            )
        return None


def gate_for(host: str, key: str) -> Gate:
    """The gate of a server on ``host``; UsageError if it would stand open to other machines."""
    if not key and not is_loopback(host):
        raise UsageError(
            f"--host {host!r} is reachable from other machines: it needs --api-key (or "
            "SPARKCODE_API_KEY), or use --host 127.0.0.1"
        )
    return Gate(key)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _is_local_origin(origin: str | None) -> bool:
    if origin is None:
        return True
    try:
        return is_loopback(urlsplit(origin).hostname or "")
    except ValueError:
        return False
