from __future__ import annotations

import json

import pytest

from sparkcode.errors import LocalProtocolError, RemoteProtocolError
from sparkcode.protocol.events import (
    Response,
    ResponseCompleted,
    ResponseCreate,
    ResponseCreated,
    ResponseInProgress,
    Steer,
    SteerAccepted,
    SteerFailed,
    SteerPending,
    UnknownEvent,
)
from sparkcode.protocol.lanes import LANE, Lanes, lane_of
from sparkcode.protocol.machine import Machine

STEER = Steer(id="steer_1", previous_response_id="r")
FAILED = SteerFailed(steer={"id": "steer_1", "previous_response_id": "r", "input": "x"})


def response(name: str) -> Response:
    return Response(id=name)


def joined(lanes: tuple[str | None, ...]) -> tuple[Lanes, Lanes]:
    """Client and server with a request in each lane."""
    client, server = Lanes("client"), Lanes("server")
    for lane in lanes:
        server.receive(client.send(ResponseCreate(input="x", stream_id=lane)))
    return client, server


def test_lanes_are_answered_beside_each_other() -> None:
    client, server = joined(("a", None, "b"))
    for kind in (ResponseCreated, ResponseInProgress, ResponseCompleted):
        for lane in ("b", None, "a"):
            event = kind(response=response(f"r-{lane}"))
            text = server.send(event, lane)
            assert ("stream_id" in json.loads(text)) == (lane is not None)
            assert client.receive(text)[0] == lane
    assert {client.machine(lane).state for lane in ("a", None, "b")} == {"idle"}
    assert ("a" in client, "c" in client, len(client), len(server)) == (True, False, 2, 2)


def test_a_frame_that_is_none_is_the_default_lanes() -> None:
    server = Lanes("server")
    with pytest.raises(RemoteProtocolError):
        server.receive("{")
    assert server.machine(None).state == "requested"
    assert server.receive('{"type": "what", "stream_id": 3}')[0] is None
    assert lane_of(UnknownEvent(type="x", raw={"stream_id": "a"})) == "a"


@pytest.mark.parametrize(("name", "fits"), [("a.B_-9", True), ("", False), ("a b", False)])
def test_names(name: str, fits: bool) -> None:
    assert (LANE.fullmatch(name) is not None) is fits
    assert LANE.fullmatch("x" * 257) is None


# --- steering: the two ends agree on what follows ------------------------------------------------


def streaming() -> tuple[Machine, Machine]:
    client, server = Machine("client"), Machine("server")
    server.receive(client.send(ResponseCreate(input="x")))
    for event in (ResponseCreated, ResponseInProgress):
        client.receive(server.send(event(response=response("r"))))
    return client, server


def test_a_steered_response_is_followed_by_another() -> None:
    client, server = streaming()
    server.receive(client.send(ResponseCreate(input="later")))
    for _ in range(2):
        client.receive(server.send(SteerAccepted(steer=STEER)))
    assert (client.queued, server.queued) == (2, 2)
    for name in ("r", "successor", "later"):
        if name != "r":
            client.receive(server.send(ResponseCreated(response=response(name))))
            client.receive(server.send(ResponseInProgress(response=response(name))))
        client.receive(server.send(ResponseCompleted(response=response(name))))
    assert (client.state, server.state) == ("idle", "idle")


@pytest.mark.parametrize("end", [SteerPending(steer=STEER), FAILED])
@pytest.mark.parametrize("more", [False, True])
def test_a_steer_that_leads_to_nothing(end: SteerPending | SteerFailed, more: bool) -> None:
    client, server = streaming()
    client.receive(server.send(SteerAccepted(steer=STEER)))
    if more:
        server.receive(client.send(ResponseCreate(input="later")))
    client.receive(server.send(ResponseCompleted(response=response("r"))))
    assert client.state == "requested"
    for _ in range(2):
        client.receive(server.send(end))
        assert client.state == server.state == ("requested" if more else "idle")


def test_a_steer_that_was_never_accepted_changes_nothing() -> None:
    client, server = streaming()
    client.receive(server.send(SteerFailed(steer={"previous_response_id": "r", "input": "x"})))
    assert client.state == server.state == "in_progress"


def test_a_steer_without_a_response() -> None:
    with pytest.raises(LocalProtocolError, match="no response is in flight"):
        Machine("server").send(SteerAccepted(steer=STEER))
    client = Machine("client")
    client.receive('{"type":"response.steer.accepted","steer":{"id":"s"}}')
    assert client.state == "idle"
