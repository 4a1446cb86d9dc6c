"""Reaching an engine at a URL.

:class:`UrlDialer` tries the WebSocket first, because one persistent socket saves the set-up of a
request per turn. A server that has none is recognised by its first answer, and the dialer then
stays with HTTP and server-sent events: repeated attempts would cost seconds of time to first token
in every turn. ``websockets`` and ``httpx`` are imported at the first attempt, in a thread, because
a screen must be able to paint its first frame before them.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Mapping
from dataclasses import replace

from sparkcode.config import API_KEY_ENV
from sparkcode.errors import UsageError
from sparkcode.link.transport import (
    Endpoint,
    Peer,
    Transport,
    UpgradeRefusedError,
    base_url,
)


class UrlDialer:
    """Reaches the engine at a URL: WebSocket first, else HTTP with server-sent events.

    The fallback is taken at once and kept for the dialer's life. UsageError if ``url`` or
    ``api_key`` cannot be used.
    """

    def __init__(
        self,
        url: str,
        api_key: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        key_env: str = API_KEY_ENV,
        timeout: float = 5.0,
    ) -> None:
        key = checked_key(api_key, key_env)
        self._endpoint = Endpoint(base_url(url), key, key_env, timeout, dict(headers or {}))
        self._note = ""

    @property
    def url(self) -> str:
        """The base URL, normalised."""
        return self._endpoint.url

    async def dial(self) -> tuple[Transport, Peer]:
        if not self._note:
            await asyncio.to_thread(importlib.import_module, "sparkcode.link.websocket")
            from sparkcode.link.websocket import connect_websocket

            try:
                return await connect_websocket(self._endpoint)
            except UpgradeRefusedError as refusal:
                note = str(refusal)
        else:
            note = self._note
        await asyncio.to_thread(importlib.import_module, "sparkcode.link.sse")
        from sparkcode.link.sse import connect_sse

        transport, peer = await connect_sse(self._endpoint)
        self._note = note
        return transport, replace(peer, note=note)


class SseDialer:
    """Reaches an engine over HTTP only."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    async def dial(self) -> tuple[Transport, Peer]:
        await asyncio.to_thread(importlib.import_module, "sparkcode.link.sse")
        from sparkcode.link.sse import connect_sse

        return await connect_sse(self._endpoint)


def checked_key(key: str, key_env: str) -> str:
    """``key`` if it can be sent in a header; UsageError, which does not show it, otherwise."""
    if not all("!" <= char <= "~" for char in key):
        raise UsageError(
            f"the API key in {key_env} holds a space, a line break or a non-ASCII character;"
            " a key is one printable ASCII word"
        )
    return key
