"""The official ``openai`` SDK over HTTP, against a real ``sparkcode serve``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.responses import ResponseCompletedEvent, ResponseTextDeltaEvent

from tests.clients.conftest import PATCH

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}
APPLY = {"type": "custom", "name": "apply_patch", "description": "Edit files."}


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=url, api_key="any", max_retries=0) as found:
        yield found


def test_one_response(client: Any) -> None:
    response = client.responses.create(model="spark", input="Hi", instructions="Be kind.")
    assert response.output_text == "Hello there."
    assert (response.status, response.model, response.object) == (
        "completed",
        "scripted",
        "response",
    )
    assert response.usage is not None
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    assert client.responses.retrieve(response.id).output_text == "Hello there."


def test_a_response_is_deleted(client: Any) -> None:
    response = client.responses.create(model="spark", input="Hi")
    client.responses.delete(response.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.delete(response.id)


def test_a_stream_of_events(client: Any) -> None:
    events = list(client.responses.create(model="spark", input="many", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events[:4]] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    deltas = [event.delta for event in events if isinstance(event, ResponseTextDeltaEvent)]
    assert "".join(deltas) == "word " * 200
    assert isinstance(events[-1], ResponseCompletedEvent)
    assert events[-1].response.output_text == "word " * 200


def test_the_stream_helper(client: Any) -> None:
    with client.responses.stream(model="spark", input="Hi") as stream:
        text = "".join(
            event.delta for event in stream if event.type == "response.output_text.delta"
        )
        assert text == "Hello there."
        assert stream.get_final_response().output_text == "Hello there."


def test_a_conversation_goes_on_by_id_and_by_history(client: Any) -> None:
    first = client.responses.create(model="spark", input="Hi")
    second = client.responses.create(model="spark", input="short", previous_response_id=first.id)
    assert (second.output_text, second.previous_response_id) == ("Brief.", first.id)
    items = [{"role": "user", "content": "Hi"}, *(item.to_dict() for item in first.output)]
    again = client.responses.create(
        model="spark",
        input=[*items, {"role": "user", "content": "short"}],
    )
    assert again.output_text == "Brief."


def test_a_function_is_called_and_answered(client: Any) -> None:
    first = client.responses.create(model="spark", input="weather?", tools=[WEATHER])
    (call,) = first.output
    assert call.type == "function_call"
    assert (call.name, call.arguments) == ("get_weather", '{"city":"Oslo"}')
    second = client.responses.create(
        model="spark",
        previous_response_id=first.id,
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "rain"}],
        tools=[WEATHER],
    )
    assert second.output_text == "Take an umbrella."


def test_a_custom_tool_streams_its_input(client: Any) -> None:
    deltas, done = [], ""
    for event in client.responses.create(
        model="spark",
        input="edit",
        tools=[APPLY],
        stream=True,
    ):
        if event.type == "response.custom_tool_call_input.delta":
            deltas.append(event.delta)
        elif event.type == "response.custom_tool_call_input.done":
            done = event.input
    assert "".join(deltas) == done == PATCH
    assert len(deltas) > 1


def test_errors_are_the_sdks_own(client: Any, url: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="spark", input="x", previous_response_id="resp_none")
    assert caught.value.code == "previous_response_not_found"
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="gpt-9", input="x")
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.InternalServerError, match="gave up"):
        client.responses.create(model="spark", input="break")
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve("resp_none")
    with pytest.raises(openai.BadRequestError, match="No tool call found"):
        client.responses.create(
            model="spark",
            input=[{"type": "function_call_output", "call_id": "call_none", "output": "x"}],
        )


def test_a_failure_in_a_stream_is_an_event(client: Any) -> None:
    events = list(client.responses.create(model="spark", input="break", stream=True))
    assert events[-1].type == "response.failed"
    assert events[-1].response.error is not None
    assert "gave up" in events[-1].response.error.message


def test_models(client: Any) -> None:
    assert {model.id for model in client.models.list()} == {"scripted", "spark"}


async def test_the_asynchronous_client(url: str) -> None:
    client: Any
    async with AsyncOpenAI(base_url=url, api_key="any", max_retries=0) as client:

        async def asked(text: str) -> str:
            return str((await client.responses.create(model="spark", input=text)).output_text)

        assert list(await asyncio.gather(asked("Hi"), asked("short"))) == ["Hello there.", "Brief."]
        stream = await client.responses.create(model="spark", input="many", stream=True)
        types = [event.type async for event in stream]
        assert types[-1] == "response.completed"
        async with client.responses.stream(model="spark", input="Hi") as helper:
            assert (await helper.get_final_response()).output_text == "Hello there."
