"""Two machines joined by a perfect link must never disagree; one alone must know whom to blame."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkcode.errors import LocalProtocolError, RemoteProtocolError
from sparkcode.protocol.codec import encode
from sparkcode.protocol.events import (
    ContentPartAdded,
    ContentPartDone,
    CustomToolCallInputDelta,
    CustomToolCallInputDone,
    CustomToolCallItem,
    ErrorEvent,
    FunctionCallArgumentsDelta,
    FunctionCallArgumentsDone,
    FunctionCallItem,
    InterruptAccepted,
    InterruptFailed,
    MessageItem,
    OutputItemAdded,
    OutputItemDone,
    OutputItemInterrupted,
    OutputTextDelta,
    OutputTextDone,
    ReasoningItem,
    Response,
    ResponseCompleted,
    ResponseCreate,
    ResponseCreated,
    ResponseFailed,
    ResponseIncomplete,
    ResponseInProgress,
    ResponseInterrupt,
    ResponseProcessed,
    ResponseSteer,
    SteerFailed,
    UnknownEvent,
    WebSocketTiming,
)
from sparkcode.protocol.machine import Event, Machine
from tests.protocol.sequences import (
    PART,
    Pair,
    begun,
    call,
    completed,
    custom,
    message,
    opened,
    phase,
    picture,
    reasoning,
    response,
)


def test_a_whole_response() -> None:
    pair = Pair()
    pair.ask(ResponseCreate(input="hi"))
    assert phase(pair.client) == "requested"
    events = pair.answer(
        *begun(),
        *message(0),
        *call(1),
        *custom(2),
        *reasoning(3),
        WebSocketTiming(timing_metrics={}),
    )
    assert pair.client.response_id == "resp_1"
    events += pair.answer(completed())
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert phase(pair.client) == "idle"
    assert pair.client.response_id == ""


def test_requests_wait_in_order_and_keep_their_lane() -> None:
    pair = Pair()
    pair.ask(ResponseCreate(input="1"), ResponseCreate(input="2", stream_id="side"))
    assert pair.client.queued == 1
    first = pair.answer(*begun("a"), completed("a"))
    assert phase(pair.client) == "requested"
    second = pair.answer(*begun("b"), completed("b"))
    assert {event.stream_id for event in first} == {msgspec.UNSET}
    assert {event.stream_id for event in second} == {"side"}
    assert [event.sequence_number for event in second] == [0, 1, 2]


def test_an_interrupt() -> None:
    pair = Pair()
    pair.ask(ResponseCreate(input="hi"))
    pair.answer(*begun(), *message()[:3])
    pair.ask(ResponseInterrupt(response_id="resp_1"))
    pair.answer(
        InterruptAccepted(response_id="resp_1"),
        OutputItemInterrupted(response_id="resp_1", item_id="msg_1", output_index=0),
        ResponseIncomplete(response=response()),
    )
    assert phase(pair.client) == "idle"


def test_what_changes_nothing() -> None:
    pair = Pair()
    pair.ask(ResponseProcessed(), ResponseSteer(previous_response_id="x"))
    pair.answer(
        InterruptFailed(response_id="x"),
        SteerFailed(),
        ErrorEvent(status=400),
        UnknownEvent(type="codex.rate_limits", raw={"plan_type": "pro"}),
    )
    assert phase(pair.client) == "idle"


def test_a_failure_may_come_while_an_item_is_open() -> None:
    pair = Pair()
    pair.ask(ResponseCreate(input="hi"))
    pair.answer(*begun(), *message()[:3], ResponseFailed(response=response()))
    assert pair.client.open_items == ()


def test_an_error_frame_ends_the_request_in_flight_only() -> None:
    pair = Pair()
    pair.ask(ResponseCreate(input="1"), ResponseCreate(input="2"))
    pair.answer(ErrorEvent(status=400))
    assert (pair.client.state, pair.client.queued) == ("requested", 0)


def test_unknown_and_malformed_requests_take_their_place_in_the_queue() -> None:
    pair = Pair()
    pair.ask(UnknownEvent(type="response.append", raw={}))
    assert phase(pair.client) == "requested"
    server = Machine("server")
    for text in ("{", '{"type":"response.create","input":1}'):
        with pytest.raises(RemoteProtocolError):
            server.receive(text)
    assert (server.state, server.queued) == ("requested", 1)


def at(machine: Machine, *events: Event) -> Machine:
    """A server or client machine after one request and ``events``."""
    if machine.role == "server":
        machine.receive(encode(ResponseCreate(input="hi")))
        for event in events:
            machine.send(event)
    else:
        machine.send(ResponseCreate(input="hi"))
        for event in events:
            machine.receive(encode(event))
    return machine


ILLEGAL_FOR_A_SERVER: dict[str, tuple[list[Event], Event]] = {
    "no created": ([], ResponseInProgress(response=response())),
    "no in_progress": (begun()[:1], message()[0]),
    "other response": (begun(), completed("resp_2")),
    "wrong index": (begun(), message(1)[0]),
    "second open item": ([*begun(), message()[0]], message(1, "msg_2")[0]),
    "delta without part": ([*begun(), message()[0]], message()[2]),
    "delta of another kind": ([*begun(), message()[0]], call()[1]),
    "delta for another item": ([*begun(), *message()[:2]], message(0, "msg_2")[2]),
    "delta for another index": ([*begun(), *message()[:2]], message(1)[2]),
    "done for another item": ([*begun(), message()[0]], message(0, "msg_2")[-1]),
    "item done with an open part": ([*begun(), *message()[:2]], message()[-1]),
    "call done without its text": ([*begun(), call()[0]], call()[-1]),
    "completed with an open item": ([*begun(), message()[0]], completed()),
    "interrupt of an item that is not open": (
        [*begun(), message()[0]],
        OutputItemInterrupted(response_id="resp_1", item_id="msg_9", output_index=3),
    ),
    "after the end": ([*begun(), completed()], message()[0]),
    "a known name in disguise": (begun(), UnknownEvent(type="response.completed", raw={})),
    "a client's event": (begun(), ResponseCreate(input="x")),
}


@pytest.mark.parametrize(
    "case", [name for name in ILLEGAL_FOR_A_SERVER if name[0] != "n" or "no " in name]
)
def test_a_server_may_not(case: str) -> None:
    before, event = ILLEGAL_FOR_A_SERVER[case]
    machine = at(Machine("server"), *before)
    state = picture(machine)
    with pytest.raises(LocalProtocolError):
        machine.send(event)
    assert picture(machine) == state


def test_a_server_may_not_answer_what_nobody_asked() -> None:
    with pytest.raises(LocalProtocolError, match=r"response.created is not legal in state 'idle'"):
        Machine("server").send(begun()[0])


def test_a_client_may_not_send_a_servers_event() -> None:
    with pytest.raises(LocalProtocolError, match="a client does not send"):
        Machine("client").send(completed())
    with pytest.raises(LocalProtocolError):
        Machine("client").send(UnknownEvent(type="response.create", raw={}))


FORGIVEN: dict[str, list[Event]] = {
    "the least a client needs": [message()[-1], completed()],
    "no created": [begun()[1], completed()],
    "no lifecycle at all": [*message(), completed()],
    "no in_progress": [begun()[0], *message(), completed()],
    "done without added, later": [*begun(), message()[-1], *call(1), completed()],
    "no content parts": [*begun(), *message()[:1], *message()[2:4], message()[-1], completed()],
    "no done events": [*begun(), *message()[:3], completed()],
    "no text.done": [*begun(), *message()[:3], *message()[4:], completed()],
    "no text deltas": [*begun(), message()[0], *message()[3:], completed()],
    "part added twice": [*begun(), *message()[:2], *message()[1:], completed()],
    "no part.done": [*begun(), *message()[:4], *message()[1:4], message()[-1], completed()],
    "call without done": [*begun(), *call()[:2], call()[-1], completed()],
    "items side by side": [
        *begun(),
        message()[0],
        custom(1)[0],
        *message()[1:],
        *custom(1)[1:],
        completed(),
    ],
    "ids only": [
        *begun(),
        message(0)[0],
        custom(1)[0],
        CustomToolCallInputDelta(item_id="ctc_1", output_index=7, delta="x"),
        completed(),
    ],
    "indexes only": [*begun(), *message(0, ""), completed()],
    "another id at the end": [*begun(), completed("resp_other")],
    "interrupted item that is gone": [
        *begun(),
        InterruptAccepted(response_id="resp_1"),
        OutputItemInterrupted(response_id="resp_1", item_id="msg_1"),
        ResponseIncomplete(response=response()),
    ],
    "reasoning with parts": [
        *begun(),
        reasoning()[0],
        ContentPartAdded(item_id="rs_1", part=PART),
        reasoning()[1],
        completed(),
    ],
    "late asides": [*begun(), completed(), InterruptAccepted(response_id="resp_1")],
}


@pytest.mark.parametrize("case", FORGIVEN)
def test_a_client_forgives(case: str) -> None:
    assert at(Machine("client"), *FORGIVEN[case]).state == "idle"


def test_a_second_lone_item_done_keeps_the_other_open() -> None:
    machine = at(Machine("client"), *begun(), message()[0])
    machine.receive(encode(OutputItemDone(output_index=5, item=ReasoningItem(id="rs_9"))))
    assert phase(machine) == "item"


CORRUPTING: dict[str, tuple[list[Event], Event]] = {
    "delta for an item never added": (begun(), message()[2]),
    "delta for another item": ([*begun(), message()[0]], custom(3, "ctc_9")[1]),
    "delta of another kind": ([*begun(), message()[0]], call()[1]),
    "delta after the text was final": ([*begun(), *call()[:3]], call()[1]),
    "event after the end": ([*begun(), completed()], message()[0]),
    "second end": ([*begun(), completed()], completed()),
    "created twice": (begun(), begun()[0]),
}


@pytest.mark.parametrize("case", CORRUPTING)
def test_a_client_does_not_forgive(case: str) -> None:
    before, event = CORRUPTING[case]
    machine = at(Machine("client"), *before)
    state = picture(machine)
    with pytest.raises(RemoteProtocolError):
        machine.receive(encode(event))
    assert picture(machine) == state


def test_an_item_of_an_unknown_kind_is_opaque() -> None:
    machine = at(Machine("client"), *begun())
    machine.receive(
        '{"type":"response.output_item.added","output_index":0,'
        '"item":{"type":"web_search_call","id":"ws_1"}}'
    )
    assert opened(machine) == ((0, "ws_1"),)
    machine.receive('{"type":"response.output_text.delta","output_index":0,"delta":"x"}')
    machine.receive(
        '{"type":"response.output_item.done","output_index":0,"item":{"type":"web_search_call"}}'
    )
    assert opened(machine) == ()
    machine.receive('{"type":"response.output_item.added","output_index":"a","item":[]}')
    assert opened(machine) == ((0, ""),)
    machine.receive('{"type":"response.output_item.done","output_index":4,"item":[]}')
    assert phase(machine) == "item"
    machine.receive(encode(OutputItemDone(output_index=0, item=MessageItem())))
    assert phase(machine) == "in_progress"


def test_a_terminal_event_without_a_response_is_an_error() -> None:
    machine = at(Machine("client"), *begun())
    with pytest.raises(RemoteProtocolError, match="without a usable response"):
        machine.receive('{"type":"response.completed"}')
    assert Machine("client").receive('{"type":"response.completed"}') == UnknownEvent(
        type="response.completed", raw={}
    )


# --- random walks ---------------------------------------------------------------------------

INDEXES = st.integers(0, 2)
NAMES = st.sampled_from(["a", "b", ""])
RESPONSES = st.builds(Response, id=st.sampled_from(["r1", "r2"]))
ITEMS = st.one_of(
    [st.builds(kind, id=NAMES) for kind in (MessageItem, FunctionCallItem, CustomToolCallItem)]
)
IN_ITEM: dict[type, dict[str, st.SearchStrategy[Any]]] = {
    ContentPartAdded: {"part": st.just(PART)},
    ContentPartDone: {"part": st.just(PART)},
    OutputTextDelta: {"delta": st.just("x")},
    OutputTextDone: {"text": st.just("x")},
    FunctionCallArgumentsDelta: {"delta": st.just("x")},
    FunctionCallArgumentsDone: {"arguments": st.just("x")},
    CustomToolCallInputDelta: {"delta": st.just("x")},
    CustomToolCallInputDone: {"input": st.just("x")},
}
SERVER_EVENTS = st.one_of(
    *[
        st.builds(kind, item_id=NAMES, output_index=INDEXES, **rest)
        for kind, rest in IN_ITEM.items()
    ],
    *[
        st.builds(kind, response=RESPONSES)
        for kind in (
            ResponseCreated,
            ResponseInProgress,
            ResponseCompleted,
            ResponseIncomplete,
            ResponseFailed,
        )
    ],
    st.builds(OutputItemAdded, output_index=INDEXES, item=ITEMS),
    st.builds(OutputItemDone, output_index=INDEXES, item=ITEMS),
    st.builds(OutputItemInterrupted, response_id=NAMES, item_id=NAMES, output_index=INDEXES),
    st.builds(InterruptAccepted, response_id=NAMES),
    st.builds(ErrorEvent),
    st.builds(UnknownEvent, type=st.sampled_from(["x", "response.created"]), raw=st.just({})),
)
CLIENT_EVENTS = st.one_of(
    st.builds(ResponseCreate, input=st.just("x"), stream_id=st.sampled_from([None, "lane"])),
    st.builds(ResponseInterrupt, response_id=NAMES),
    st.builds(UnknownEvent, type=st.sampled_from(["x", "response.create"]), raw=st.just({})),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(SERVER_EVENTS | CLIENT_EVENTS, max_size=40), st.randoms(use_true_random=False))
def test_no_walk_makes_two_ends_disagree(events: list[Event], random: Any) -> None:
    """Random events, each put between scripted legal ones so that deep states are reached."""
    pair = Pair()
    legal = [
        ResponseCreate(input="x"),
        *begun("r1"),
        *message(0, "a"),
        *call(1, "b"),
        completed("r1"),
    ]
    walk = [event for stray in events for event in (legal[random.randrange(len(legal))], stray)]
    for event in [*legal, *walk]:
        asks = isinstance(event, ResponseCreate | ResponseInterrupt)
        asks = asks or (event == UnknownEvent(type="x", raw={}) and random.random() < 0.5)
        before = picture(pair.server)
        try:
            if asks:
                pair.ask(event)
            else:
                pair.answer(event)
        except LocalProtocolError:
            assert picture(pair.server) == before
        pair.agree()


@settings(max_examples=100, deadline=None)
@given(st.lists(SERVER_EVENTS, max_size=40))
def test_a_forgiving_client_raises_nothing_but_protocol_errors(events: list[Any]) -> None:
    machine = at(Machine("client"))
    for event in events:
        before = picture(machine)
        try:
            machine.receive(encode(event))
        except RemoteProtocolError:
            assert picture(machine) == before
        assert (machine.state == "item") == bool(machine.open_items)
