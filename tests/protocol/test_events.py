from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from sparkcode.protocol.events import (
    ContentPart,
    CustomToolCallItem,
    KnownClientEvent,
    KnownServerEvent,
    MessageItem,
    OutputText,
    Refusal,
    Response,
)

OPEN_RESPONSES = {
    *("id", "object", "created_at", "completed_at", "status", "incomplete_details", "model"),
    *("previous_response_id", "instructions", "output", "error", "tools", "tool_choice", "text"),
    *("truncation", "parallel_tool_calls", "top_p", "presence_penalty", "frequency_penalty"),
    *("top_logprobs", "temperature", "reasoning", "usage", "max_output_tokens", "max_tool_calls"),
    *("store", "background", "service_tier", "metadata", "safety_identifier", "prompt_cache_key"),
}
"""What the Open Responses schema requires of a response object."""


def test_a_response_has_every_field_that_the_schemas_require() -> None:
    raw = msgspec.json.decode(msgspec.json.encode(Response()))
    assert set(raw) >= OPEN_RESPONSES
    assert raw["text"] == {"format": {"type": "text"}}
    assert raw["reasoning"] == {"effort": None, "summary": None}


def test_every_event_has_a_name_of_its_own() -> None:
    for union in (KnownServerEvent, KnownClientEvent):
        names = [kind.__struct_config__.tag for kind in get_args(union)]
        assert len(set(names)) == len(names)


def test_the_text_of_a_message_is_its_text_parts() -> None:
    parts: list[ContentPart] = [OutputText(text="a"), Refusal(refusal="no"), OutputText(text="b")]
    assert MessageItem(content=parts).text == "ab"


def test_events_do_not_change() -> None:
    item = CustomToolCallItem(id="ctc_1")
    with pytest.raises(AttributeError):
        item.input = "x"  # type: ignore[misc]
