"""A server of the chat completions protocol as an engine of ours.

It keeps no conversation and has no sockets; a connection pool saves the handshakes, and every
question holds everything.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec

from sparkcode.engine.base import EngineInfo, GenerateRequest, Step, TokenUsage
from sparkcode.errors import EngineError, EngineUnreachableError, RemoteProtocolError
from sparkcode.link.chat import ChatClient, HttpAnswer
from sparkcode.protocol.events import ErrorBody
from sparkcode.upstream import faults
from sparkcode.upstream.chat import ChatAnswer, body_of, error_of
from sparkcode.upstream.patience import within
from sparkcode.upstream.terms import CONCURRENT, Terms


class ChatUpstream:
    """An :class:`~sparkcode.engine.base.AsyncEngine`."""

    def __init__(self, client: ChatClient, terms: Terms) -> None:
        self._client = client
        self._terms = terms

    @property
    def info(self) -> EngineInfo:
        model = self._terms.model
        return EngineInfo("upstream", model.known, model.context_length, concurrent=CONCURRENT)

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Step, None]:
        try:
            async with aclosing(self._ask(request)) as steps:
                async for step in steps:
                    yield step
        except EngineError as error:
            raise faults.without(self._terms.key, error) from error

    async def warm(self, request: GenerateRequest) -> AsyncGenerator[Step, None]:
        """Nothing can be prepared; the model's name is asked for where it is not known."""
        await self._terms.model.get()
        yield Step(sim_time=0.0, finish_reason="stop", usage=TokenUsage())

    async def meet(self) -> None:
        """Ask for what is not known of the server yet; EngineError if it cannot be had."""
        await self._terms.model.get()

    async def close(self) -> None:
        await self._client.close()

    async def _ask(self, request: GenerateRequest) -> AsyncGenerator[Step, None]:
        model, url = await self._terms.model.get(), self._terms.url
        answer = ChatAnswer(request, url)
        begun = False
        try:
            async with aclosing(self._client.ask(body_of(request, model))) as parts:
                async for part in within(parts, self._terms.silence):
                    if isinstance(part, HttpAnswer):
                        part = self._plain(part)
                    begun = True
                    for step in answer.steps(part):
                        yield step
        except TimeoutError as error:
            raise faults.silent(url, self._terms.silence) from error
        except RemoteProtocolError as error:
            raise faults.unusable(url, str(error)) from error
        except EngineUnreachableError as error:
            if not begun:
                raise faults.unreachable(error) from error
            if not answer.complete:
                raise faults.cut(url) from error
        for step in answer.last():
            yield step

    def _plain(self, answer: HttpAnswer) -> str:
        """The whole answer of a server that does not stream; EngineError if it is a failure."""
        if answer.status == 200:
            return answer.body.decode(errors="replace")
        try:
            body, _ = error_of(msgspec.json.decode(answer.body))
        except (msgspec.DecodeError, UnicodeError, RecursionError, RemoteProtocolError):
            body = ErrorBody(message=answer.body[:200].decode(errors="replace"))
        wait = answer.retry_after
        seconds = float(wait[:6]) if wait.isascii() and wait.isdigit() else 0.0
        raise faults.refused(self._terms.url, answer.status, body, seconds)
