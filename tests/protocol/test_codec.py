from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.errors import RemoteProtocolError
from sparkcode.protocol.codec import (
    MAX_DEPTH,
    decode_client_event,
    decode_create_body,
    decode_server_event,
    encode,
)
from sparkcode.protocol.events import (
    ErrorBody,
    ErrorEvent,
    MessageItem,
    OutputText,
    OutputTextDelta,
    Response,
    ResponseCompleted,
    ResponseCreate,
    ResponseInterrupt,
    SparkTiming,
    UnknownEvent,
    Usage,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_what_a_client_did_not_ask_for_is_absent_from_the_json() -> None:
    plain = msgspec.json.decode(encode(OutputTextDelta(item_id="m", delta="x")))
    assert next(iter(plain)) == "type"
    assert not {"spark", "stream_id"} & set(plain)
    timed = encode(OutputTextDelta(delta="", spark=SparkTiming(sim_time=0.5, tokens=3)))
    assert msgspec.json.decode(timed)["spark"] == {"sim_time": 0.5, "tokens": 3}


def test_a_request_has_only_the_fields_that_were_set() -> None:
    text = encode(ResponseCreate(input="hi", generate=False))
    assert msgspec.json.decode(text) == {
        "type": "response.create",
        "input": "hi",
        "generate": False,
    }


def test_known_events_round_trip() -> None:
    event = ResponseCompleted(
        response=Response(
            id="r",
            usage=Usage(total_tokens=3),
            output=[MessageItem(content=[OutputText(text="é")])],
        )
    )
    assert decode_server_event(encode(event)) == event
    assert decode_server_event(encode(event).encode()) == event
    request = ResponseInterrupt(response_id="r")
    assert decode_client_event(encode(request)) == request


@given(st.text(min_size=1).map("x.".__add__), st.dictionaries(st.text(), JSON, max_size=4))
def test_unknown_events_round_trip(kind: str, raw: dict[str, Any]) -> None:
    raw.pop("type", None)
    event = UnknownEvent(type=kind, raw=raw)
    assert decode_client_event(encode(event)) == event
    if "response" not in raw and None not in raw.values():
        assert decode_server_event(encode(event)) == event


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "{}", '{"type":7}', b"\xff\xfe", "null"])
def test_what_is_no_event_is_an_error_of_the_peer(text: str | bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_server_event(text)
    with pytest.raises(RemoteProtocolError):
        decode_client_event(text)


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_any_bytes_decode_or_are_an_error_of_the_peer(text: str | bytes) -> None:
    for decode in (decode_server_event, decode_client_event):
        with contextlib.suppress(RemoteProtocolError):
            decode(text)


def test_a_request_with_a_field_of_a_wrong_type_names_it() -> None:
    with pytest.raises(RemoteProtocolError, match=r"\$\.model"):
        decode_client_event('{"type":"response.create","model":5}')
    with pytest.raises(RemoteProtocolError, match=r"\$\.model"):
        decode_create_body(b'{"model":5}')
    assert decode_create_body(b'{"input":"x","unknown":1}') == ResponseCreate(input="x")
    with pytest.raises(RemoteProtocolError):
        decode_create_body(b"[]")
    with pytest.raises(RemoteProtocolError):
        decode_create_body(b"\xff")


def test_nulls_and_unknown_items_do_not_cost_the_end_of_a_turn() -> None:
    event = decode_server_event(
        '{"type":"response.completed","sequence_number":null,"response":{"id":"r","model":null,'
        '"usage":{"input_tokens":"many"},"tools":{},"status":"completed","output":['
        '{"type":"web_search_call","id":"w"},'
        '{"type":"message","id":"m","content":[{"type":"output_text","text":"hi"}]}]}}'
    )
    assert isinstance(event, ResponseCompleted)
    assert (event.response.id, event.response.status) == ("r", "completed")
    assert event.response.usage is None
    assert [item.id for item in event.response.output] == ["m"]
    slim = decode_server_event('{"type":"response.completed","response":{"id":"r","output":null}}')
    assert isinstance(slim, ResponseCompleted)
    assert slim.response.output == []


def test_a_delta_with_null_ids_is_a_delta() -> None:
    event = decode_server_event(
        '{"type":"response.output_text.delta","item_id":null,"output_index":0,"delta":"x"}'
    )
    assert event == OutputTextDelta(delta="x")


def test_an_item_of_an_unknown_kind_stays_as_it_came() -> None:
    raw = {"output_index": 0, "item": {"type": "image_generation_call"}}
    text = msgspec.json.encode({"type": "response.output_item.added", **raw})
    assert decode_server_event(text) == UnknownEvent(type="response.output_item.added", raw=raw)


DEEP = [
    '{"type":"x","a":%s}',
    '{"type":"response.create","metadata":{"a":%s}}',
    '{"type":"response.create","model":5,"metadata":{"a":%s}}',
    '{"type":"response.create","input":[{"type":"message","a":%s}]}',
    '{"type":"response.create","unknown":%s}',
    '{"type":"response.completed","response":{"tools":5,"metadata":{"a":%s}}}',
    '{"type":"response.completed","response":{"id":"r","output":[{"type":"x","a":%s}]}}',
]


@pytest.mark.parametrize("levels", [MAX_DEPTH, 900, 990, 5000, 100_000])
@pytest.mark.parametrize(("start", "end"), [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize("text", DEEP)
def test_json_that_is_nested_too_deeply_is_an_error_of_the_peer(
    text: str, start: str, end: str, levels: int
) -> None:
    deep = text % (start * levels + "1" + end * levels)
    for decode in (decode_server_event, decode_client_event):
        for form in (deep, deep.encode()):
            with pytest.raises(RemoteProtocolError, match="JSON of more than 200 levels") as caught:
                decode(form)
            assert len(str(caught.value)) < 200
    with pytest.raises(RemoteProtocolError):
        decode_create_body(deep.encode())


@pytest.mark.parametrize("text", DEEP)
def test_json_of_a_usual_depth_passes_however_many_brackets_it_has(text: str) -> None:
    wide = text % ("[" + "[" * 150 + "]" * 150 + ",[]" * 9999 + ',"' + "[{" * 9999 + '"]')
    event = decode_server_event(wide)
    assert decode_server_event(encode(event)) == event


def test_no_brackets_within_a_text_count_as_depth() -> None:
    event = OutputTextDelta(delta="[{" * 9999)
    assert decode_server_event(encode(event)) == event


def test_an_error_whose_fields_stand_beside_its_type() -> None:
    flat = '{"type":"error","sequence_number":3,"code":"odd","message":"It broke.","param":null}'
    event = decode_server_event(flat)
    assert isinstance(event, ErrorEvent)
    assert (event.error.code, event.error.message, event.error.param) == ("odd", "It broke.", None)
    assert event.sequence_number == 3
    nothing = decode_server_event('{"type":"error"}')
    assert isinstance(nothing, ErrorEvent)
    assert nothing.error == ErrorBody()
