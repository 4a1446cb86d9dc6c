"""Chat completions over HTTP: one POST a question, its answer as server-sent events.

A plain shell; what is posted and what comes back means something to
:mod:`sparkcode.upstream.chat`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Final

import httpx
import msgspec

from sparkcode.link.sse import MAX_ERROR_BYTES, SseDecoder, http_client, why
from sparkcode.link.transport import MAX_FRAME_BYTES, Endpoint

_JSON: Final = {"Accept": "text/event-stream", "Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer that is no stream of events."""

    status: int
    body: bytes
    retry_after: str = ""
    """The header, as it came."""


class ChatClient:
    """Asks one server; connections are kept open between questions."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._client: httpx.AsyncClient | None = None

    async def ask(self, body: dict[str, Any]) -> AsyncGenerator[str | HttpAnswer, None]:
        """The ``data`` of the answer's events, or the one answer that is no stream.

        EngineUnreachableError when nothing answers, or the answer breaks off.
        """
        url = f"{self._endpoint.url}/chat/completions"
        client = self._open()
        content = msgspec.json.encode(body)
        try:
            async with client.stream("POST", url, content=content, headers=_JSON) as answer:
                kind = answer.headers.get("content-type", "").lower()
                if answer.status_code != 200 or not kind.startswith("text/event-stream"):
                    yield await _whole(answer)
                    return
                decoder = SseDecoder()
                async for chunk in answer.aiter_bytes():
                    for text in decoder.feed(chunk):
                        yield text
        except (httpx.HTTPError, OSError) as error:
            raise self._endpoint.unreachable(why(error)) from error

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    def _open(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = http_client(self._endpoint)
        return self._client


async def models_of(endpoint: Endpoint) -> HttpAnswer:
    """What ``GET /models`` answers; EngineUnreachableError if nothing does."""
    async with http_client(endpoint) as client:
        try:
            async with client.stream("GET", f"{endpoint.url}/models") as answer:
                return await _whole(answer)
        except (httpx.HTTPError, OSError, ExceptionGroup) as error:
            raise endpoint.unreachable(why(error)) from error


async def _whole(answer: httpx.Response) -> HttpAnswer:
    body = bytearray()
    limit = MAX_FRAME_BYTES if answer.status_code == 200 else MAX_ERROR_BYTES
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > limit:
            break
    return HttpAnswer(answer.status_code, bytes(body), answer.headers.get("retry-after", ""))
