"""Whatever a client sends, in whatever order: both ends agree, and the socket stays usable.

A real connection over memory, a virtual clock, an engine whose answers are quick, slow, calls,
failures or cut off. The client's machines are told of every frame that goes out, also of the
illegal ones; they must accept everything that comes back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkcode.engine.base import Channel, GenerateRequest, Step, TokenUsage
from sparkcode.errors import EngineError
from sparkcode.link.transport import memory_pair
from sparkcode.protocol.events import (
    ResponseCompleted,
    ResponseCreate,
    ResponseCreated,
    ResponseInterrupt,
    ResponseSteer,
)
from sparkcode.protocol.lanes import Lanes
from sparkcode.protocol.machine import Machine
from sparkcode.server.connection import Connection
from sparkcode.server.narrator import Wishes
from tests.server.support import StepEngine, make_service, virtual, words

KINDS = ("quick", "slow", "call", "custom", "fail", "length", "nothing")
LANES = (None, "a", "b")
GARBAGE = (
    "",
    "{",
    "[]",
    "null",
    '{"no":"type"}',
    '{"type":5}',
    '{"type":"response.create","input":5}',
)


def steps(request: GenerateRequest) -> Iterable[Step]:
    kind = request.last_user_text
    if kind == "call":
        yield from words("{}", Channel("function_call", "look"))
    elif kind == "custom":
        yield from words("*** Begin", Channel("custom_tool_call", "apply_patch"))
    elif kind == "length":
        yield Step(sim_time=0.1, text="a", tokens=1)
        yield Step(sim_time=0.2, finish_reason="length", usage=TokenUsage())
    elif kind == "nothing":
        yield Step(sim_time=0.1, finish_reason="stop", usage=TokenUsage())
    else:
        rate = 2.0 if kind == "slow" else 1000.0
        *text, last = words("one two three four five six", rate=rate)
        yield from text
        if kind == "fail":
            raise EngineError("no")
        yield last


@dataclass(frozen=True)
class Ask:
    kind: str
    lane: str | None
    previous: int | str | None = None
    """Counts back from the newest response; a text is an id that nobody has given."""
    generate: bool | None = None
    store: bool | None = None
    output_for: str = ""
    """A call id that was never issued."""


@dataclass(frozen=True)
class Stop:
    which: int | str


@dataclass(frozen=True)
class Add:
    which: int | str
    input: Any = "more"


@dataclass(frozen=True)
class Raw:
    text: str


@dataclass(frozen=True)
class Wait:
    seconds: float


WHICH = st.integers(0, 3) | st.just("resp_none")
ASKS = st.builds(
    Ask,
    kind=st.sampled_from(KINDS),
    lane=st.sampled_from(LANES),
    previous=st.none() | WHICH,
    generate=st.sampled_from([None, None, False]),
    store=st.sampled_from([None, False]),
    output_for=st.sampled_from(["", "", "call_none"]),
)
ACTIONS = st.one_of(
    ASKS,
    ASKS,
    st.builds(Stop, WHICH),
    st.builds(Add, WHICH, st.sampled_from(["slow", "quick", "call", [], 5, [{"role": "system"}]])),
    st.builds(Raw, st.sampled_from(GARBAGE)),
    st.builds(Wait, st.sampled_from([0.0, 0.05, 0.4, 3.0])),
)


@dataclass
class Walk:
    """The client's end, and the server's machines beside it."""

    connection: Connection
    end: Any
    lanes: Lanes = field(default_factory=lambda: Lanes("client"))
    ids: list[str] = field(default_factory=list)
    completed: int = 0

    async def read(self) -> None:
        async for text in self.end.frames():
            _, event = self.lanes.receive(text)
            if isinstance(event, ResponseCreated):
                self.ids.append(event.response.id)
            self.completed += isinstance(event, ResponseCompleted)

    def named(self, which: int | str | None) -> str:
        if isinstance(which, int):
            return self.ids[-1 - which] if which < len(self.ids) else "resp_later"
        return which or ""

    async def do(self, action: Any) -> None:
        match action:
            case Ask():
                await self.end.send(self.lanes.send(self.request(action)))
            case Stop(which):
                await self.end.send(
                    self.lanes.send(ResponseInterrupt(response_id=self.named(which)))
                )
            case Add(which, given):
                steer = ResponseSteer(previous_response_id=self.named(which), input=given)
                await self.end.send(self.lanes.send(steer))
            case Raw(text):
                # A frame that is no request takes a place in the default lane's queue.
                self.lanes.machine(None).spoil()
                await self.end.send(text)
            case Wait(seconds):
                await asyncio.sleep(seconds)

    def request(self, ask: Ask) -> ResponseCreate:
        entries: list[dict[str, Any]] = [{"role": "user", "content": ask.kind}]
        if ask.output_for:
            output = {"type": "function_call_output", "call_id": ask.output_for, "output": ""}
            entries.insert(0, output)
        return ResponseCreate(
            input=entries,
            stream_id=ask.lane,
            previous_response_id=None if ask.previous is None else self.named(ask.previous),
            generate=ask.generate,
            store=ask.store,
        )

    def agree(self) -> None:
        for lane in LANES:
            ours, theirs = self.lanes.machine(lane), self.connection._machines.machine(lane)
            assert picture(ours) == picture(theirs), lane


def picture(machine: Machine) -> tuple[Any, ...]:
    return machine.state, machine.queued, machine.response_id, machine.open_items


def walked(actions: list[Any], wishes: Wishes) -> None:
    async def main() -> None:
        ours, theirs = memory_pair()
        service = make_service(StepEngine(steps, concurrent=4))
        walk = Walk(Connection(service, theirs, wishes), ours)
        serving = asyncio.create_task(walk.connection.run())
        reading = asyncio.create_task(walk.read())
        for action in actions:
            await walk.do(action)
            # Long enough for what was sent to be read, too short for the engine's next step.
            await asyncio.sleep(0.0001)
            walk.agree()
            assert not serving.done()
            assert not reading.done()
        await asyncio.sleep(1000)
        for lane in LANES:
            assert picture(walk.lanes.machine(lane)) == ("idle", 0, "", ()), lane
        done = walk.completed
        await walk.do(Ask("quick", None))
        await asyncio.sleep(10)
        assert walk.completed == done + 1
        await ours.close()
        await serving
        with suppress(asyncio.CancelledError):
            await reading

    virtual(main)


@settings(max_examples=120, deadline=None)
@given(st.lists(ACTIONS, max_size=25), st.builds(Wishes, *[st.booleans()] * 4))
def test_any_sequence_of_frames_leaves_both_ends_in_agreement(
    actions: list[Any], wishes: Wishes
) -> None:
    walked(actions, wishes)


@pytest.mark.parametrize("brief", [False, True])
def test_what_the_walk_reaches(brief: bool) -> None:
    """That the walk above is no walk in place: by hand through its deepest states."""
    walked(
        [
            Ask("slow", None),
            Ask("slow", "a"),
            Wait(0.4),
            Add(0, "quick"),
            Add(1, "call"),
            Stop(0),
            Ask("call", "b", previous=1),
            Raw("{"),
            Wait(3.0),
            Ask("quick", "a", previous="resp_none"),
            Add(0, "slow"),
        ],
        Wishes(brief=brief),
    )
