"""A small engine at the other end of a memory link: it answers as a test tells it to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

from sparkcode.errors import EngineUnreachableError
from sparkcode.link.transport import MemoryTransport, Peer, PeerKind, Transport, memory_pair
from sparkcode.replay.loops import InlineVirtualLoop

Json = dict[str, Any]


def virtually(work: Callable[[], Coroutine[None, None, None]]) -> None:
    """Run ``work()`` on a loop whose time jumps."""
    with asyncio.Runner(loop_factory=InlineVirtualLoop) as runner:
        runner.run(work())


class Engine:
    """A dialer whose links end in a queue of requests and a way to answer."""

    def __init__(self, kind: PeerKind = "memory") -> None:
        self.kind: PeerKind = kind
        self.name = "scripted"
        """What it calls itself."""
        self.requests: list[Json] = []
        self.dials = 0
        self.refusals = 0
        """How many further dials fail."""
        self.warm = True
        """Whether warm-ups are answered at once."""
        self.ends: list[MemoryTransport] = []
        self._arrived: asyncio.Queue[Json] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._responses = 0

    async def dial(self) -> tuple[Transport, Peer]:
        self.dials += 1
        if self.refusals:
            self.refusals -= 1
            raise EngineUnreachableError("no engine answers at memory (refused)")
        client, server = memory_pair()
        self.ends.append(server)
        self._tasks.append(asyncio.create_task(self._read(server)))
        return client, Peer(self.kind, "memory", engine=self.name, model="scripted")

    async def _read(self, end: MemoryTransport) -> None:
        async for text in end.frames():
            frame = json.loads(text)
            self.requests.append(frame)
            if frame.get("generate") is False:
                if self.warm:
                    await self.answer(frame_id="warm")
            else:
                self._arrived.put_nowait(frame)

    async def next(self) -> Json:
        """The next frame that is no warm-up."""
        return await self._arrived.get()

    async def send(self, kind: str, **fields: Any) -> None:
        await self.ends[-1].send(json.dumps({"type": kind, **fields}))

    async def cut(self) -> None:
        await self.ends[-1].close()

    async def created(self, response_id: str = "") -> str:
        self._responses += 1
        response_id = response_id or f"resp_{self._responses}"
        response = {"id": response_id, "model": "scripted"}
        await self.send("response.created", response=response)
        await self.send("response.in_progress", response=response)
        return response_id

    async def use(self, *calls: tuple[str, Json], text: str = "", patch: str = "") -> None:
        """A whole response that calls functions, each a name and its arguments."""
        response_id = await self.created()
        output: list[Json] = []
        if text:
            output.append(await self.message(text, 50))
        if patch:
            output.append(await self.call(patch, 50, index=len(output)))
        for name, arguments in calls:
            call_id = f"call_{response_id}_{len(output)}"
            item = {"type": "function_call", "id": f"fc_{call_id}", "call_id": call_id}
            item |= {"name": name, "arguments": json.dumps(arguments)}
            for kind in ("added", "done"):
                event = f"response.output_item.{kind}"
                await self.send(event, output_index=len(output), item=item)
            output.append(item)
        await self.completed(response_id, output)

    async def answer(
        self, *, text: str = "", patch: str = "", frame_id: str = "", pieces: int = 1
    ) -> None:
        """A whole response, its text or patch in pieces of the given length."""
        response_id = await self.created(frame_id)
        output: list[Json] = []
        if text:
            output.append(await self.message(text, pieces))
        if patch:
            output.append(await self.call(patch, pieces, index=len(output)))
        await self.completed(response_id, output)

    async def message(self, text: str, pieces: int) -> Json:
        item: Json = {"type": "message", "id": "msg_1", "status": "in_progress", "content": []}
        await self.send("response.output_item.added", output_index=0, item=item)
        for at in range(0, len(text), pieces):
            await self.text(text[at : at + pieces])
        done = {
            **item,
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": text}],
        }
        await self.send("response.output_item.done", output_index=0, item=done)
        return done

    async def text(self, delta: str) -> None:
        await self.send("response.output_text.delta", item_id="msg_1", delta=delta)

    async def open_call(self, index: int = 0) -> Json:
        item: Json = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_1"}
        item |= {"name": "apply_patch", "input": ""}
        await self.send("response.output_item.added", output_index=index, item=item)
        return item

    async def patch(self, delta: str, index: int = 0) -> None:
        kind = "response.custom_tool_call_input.delta"
        await self.send(kind, item_id="ctc_1", output_index=index, delta=delta)

    async def call(self, patch: str, pieces: int, *, index: int = 0) -> Json:
        item = await self.open_call(index)
        for at in range(0, len(patch), pieces):
            await self.patch(patch[at : at + pieces], index)
        done = {**item, "status": "completed", "input": patch}
        await self.send("response.output_item.done", output_index=index, item=done)
        return done

    async def completed(self, response_id: str, output: list[Json] | None = None) -> None:
        usage = {"input_tokens": 10, "output_tokens": 3, "total_tokens": 13}
        response: Json = {"id": response_id, "status": "completed", "model": "scripted"}
        response |= {"output": output or [], "usage": usage}
        await self.send("response.completed", response=response)

    async def interrupted(self, response_id: str) -> None:
        await self.send("response.interrupt.accepted", response_id=response_id)
        response: Json = {"id": response_id, "status": "incomplete", "output": []}
        response |= {"incomplete_details": {"reason": "interrupted"}}
        await self.send("response.incomplete", response=response)
