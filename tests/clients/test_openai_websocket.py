"""The official ``openai`` SDK over one WebSocket, against a real ``sparkcode serve``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI

pytestmark = pytest.mark.filterwarnings(
    # The SDK's own way to open a socket.
    r"ignore:connect\(\) must be used as a context manager:DeprecationWarning"
)


@pytest.fixture
def connection(url: str) -> Iterator[Any]:
    with (
        OpenAI(base_url=url, api_key="any") as client,
        client.responses.connect() as found,
    ):
        yield found


def sdk(client: Any) -> Any:
    """The client without its types, which leave out what it takes."""
    return client


def until(connection: Any, *kinds: str) -> list[Any]:
    """Events up to the first of one of ``kinds``, that one included."""
    events: list[Any] = []
    while not events or events[-1].type not in kinds:
        events.append(connection.recv())
    return events


def completed(connection: Any) -> Any:
    return until(connection, "response.completed")[-1].response


def test_a_chain_on_one_socket(connection: Any) -> None:
    connection.response.create(model="spark", input="Hi", store=False)
    first = completed(connection)
    connection.response.create(
        model="spark", input="short", previous_response_id=first.id, store=False
    )
    events = until(connection, "response.completed")
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].response.output_text == "Brief."
    assert events[-1].response.previous_response_id == first.id


def test_a_warm_up_is_a_point_to_go_on_from(connection: Any) -> None:
    connection.response.create(model="spark", input="Hi", generate=False, store=False)
    events = until(connection, "response.completed")
    assert [event.type for event in events] == [
        "response.created",
        "response.in_progress",
        "response.completed",
    ]
    warm = events[-1].response
    assert warm.output == []
    connection.response.create(
        model="spark", input="short", previous_response_id=warm.id, store=False
    )
    assert completed(connection).output_text == "Brief."


def test_lanes_run_beside_each_other(connection: Any) -> None:
    connection.response.create(model="spark", input="slow", stream_id="long")
    connection.response.create(model="spark", input="short", stream_id="quick")
    connection.response.create(model="spark", input="Hi")
    ended: list[tuple[str | None, str]] = []
    while len(ended) < 3:
        event = until(connection, "response.completed")[-1]
        ended.append((event.stream_id, event.response.output_text))
    assert sorted(ended, key=str) == [
        ("long", "one two three four five"),
        ("quick", "Brief."),
        (None, "Hello there."),
    ]
    assert ended[-1][0] == "long"


def test_a_fork_goes_on_from_another_lane(connection: Any) -> None:
    connection.response.create(model="spark", input="Hi", store=False)
    root = completed(connection)
    connection.response.create(
        model="spark", input="x", previous_response_id="resp_none", stream_id="bad"
    )
    assert until(connection, "error")[-1].error.code == "previous_response_not_found"
    for lane in ("left", "right"):
        connection.response.create(
            model="spark", input="short", previous_response_id=root.id, stream_id=lane, store=False
        )
        assert completed(connection).output_text == "Brief."


def test_steering_makes_the_next_response(connection: Any) -> None:
    connection.response.create(model="spark", input="slow", store=False)
    running = until(connection, "response.created")[-1].response
    connection.response.steer(previous_response_id=running.id, input="short")
    accepted = until(connection, "response.steer.accepted")[-1]
    assert accepted.steer.previous_response_id == running.id
    assert accepted.steer.id.startswith("steer_")
    assert completed(connection).id == running.id
    following = completed(connection)
    assert following.previous_response_id == running.id
    assert following.output_text == "Brief."


def test_a_steer_that_comes_too_late_gives_its_input_back(connection: Any) -> None:
    connection.response.create(model="spark", input="Hi", store=False)
    over = completed(connection)
    connection.response.steer(previous_response_id=over.id, input="short")
    failed = until(connection, "response.steer.failed")[-1]
    assert failed.error.code == "response_already_completed"
    assert failed.steer.input == "short"


def test_a_steer_waits_for_a_call_that_is_owed(connection: Any) -> None:
    tool = {"type": "function", "name": "get_weather", "parameters": {}, "strict": False}
    connection.response.create(model="spark", input="slow weather?", tools=[tool], store=False)
    running = until(connection, "response.created")[-1].response
    connection.response.steer(previous_response_id=running.id, input="in the weather of Rome")
    call = completed(connection).output[0]
    pending = until(connection, "response.steer.pending")[-1]
    assert [stub.to_dict() for stub in pending.required_input] == [
        {"type": "function_call_output", "call_id": call.call_id, "name": "get_weather"}
    ]
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
    connection.response.create(
        model="spark", input=[output], previous_response_id=running.id, store=False
    )
    assert completed(connection).output_text == "Take an umbrella."


def test_errors_leave_the_socket_usable(connection: Any) -> None:
    connection.response.create(model="gpt-9", input="x")
    error = until(connection, "error")[-1]
    assert error.error.code == "model_not_found"
    assert error.status == 400
    connection.response.create(model="spark", input="break")
    assert until(connection, "response.failed")[-1].response.error.message == "the engine gave up"
    connection.response.create(model="spark", input="Hi")
    assert completed(connection).output_text == "Hello there."


def test_deflate_where_it_is_asked_for(url: str) -> None:
    options = {"compression": "deflate", "max_size": 1 << 24}
    with (
        OpenAI(base_url=url, api_key="any") as client,
        sdk(client).responses.connect(websocket_connection_options=options) as connection,
    ):
        connection.response.create(model="spark", input="many")
        assert completed(connection).output_text == "word " * 200


async def test_the_asynchronous_connection(url: str) -> None:
    async with (
        AsyncOpenAI(base_url=url, api_key="any") as client,
        client.responses.connect() as connection,
    ):
        await connection.response.create(model="spark", input="Hi", stream_id="a")
        async for event in connection:
            if event.type == "response.completed":
                assert event.response.output_text == "Hello there."
                assert event.stream_id == "a"
                break
