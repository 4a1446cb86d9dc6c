"""What needs no server: the decoder of server-sent events, and the trace of one response."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.errors import RemoteProtocolError
from sparkcode.link.sse import ResponseTrace, SseDecoder
from sparkcode.protocol.events import (
    CustomToolCallItem,
    InterruptAccepted,
    MessageItem,
    OutputItemAdded,
    OutputItemDone,
    OutputItemInterrupted,
    OutputTextDelta,
    Response,
    ResponseCreated,
    ResponseIncomplete,
)

# --- the decoder ----------------------------------------------------------------------------

payloads = st.lists(
    st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1).filter(
        lambda text: text != "[DONE]"
    ),
    min_size=1,
    max_size=3,
).map("\n".join)


@given(st.data(), st.lists(payloads, max_size=5), st.sampled_from(["\n", "\r", "\r\n"]))
def test_any_chunking_gives_the_same_events(
    data: st.DataObject, events: list[str], end: str
) -> None:
    noise = st.sampled_from(["", f": ping{end}", f"event: x{end}id: 7{end}", f"retry{end}", end])
    text = data.draw(st.sampled_from(["", "\ufeff"]))
    for event in events:
        text += data.draw(noise)
        text += "".join(f"data: {line}{end}" for line in event.split("\n")) + end
    raw = (text + f"data: [DONE]{end}{end}data: torn").encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=8)))
    decoder = SseDecoder()
    seen = []
    for start, stop in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        seen += decoder.feed(raw[start:stop])
    assert seen == events


@pytest.mark.parametrize(
    ("raw", "events"),
    [
        (b"data:no space\n\n", ["no space"]),
        (b"data:  two\n\n", [" two"]),
        (b"data\n\n", [""]),
        (b"database: x\n\n", []),
        (b"data: \xff\n\n", ["\ufffd"]),
        (b"event: x\n\n", []),
    ],
)
def test_lines_are_read_as_the_standard_says(raw: bytes, events: list[str]) -> None:
    assert SseDecoder().feed(raw) == events


def test_a_line_end_that_is_cut_in_two_is_one() -> None:
    decoder = SseDecoder()
    assert [decoder.feed(part) for part in (b"data: a\r", b"\n", b"\r", b"\ndata: b")] == [
        [],
        [],
        ["a"],
        [],
    ]


@pytest.mark.parametrize("raw", [b"data: " + b"x" * 100, b"data: 123456789\n" * 8, b":" * 100])
@pytest.mark.parametrize("size", [1, 1000])
def test_an_endless_event_is_refused(raw: bytes, size: int) -> None:
    decoder = SseDecoder(limit=64)
    chunks = [raw[start : start + size] for start in range(0, len(raw), size)]
    with pytest.raises(RemoteProtocolError, match="more than 64 bytes"):
        deque(map(decoder.feed, chunks), maxlen=0)


def test_the_limit_is_for_one_event_and_not_for_the_stream() -> None:
    assert len(SseDecoder(limit=64).feed(b"data: 1234567890123456789012345\n\n" * 50)) == 50


# --- the trace ------------------------------------------------------------------------------


def test_an_interrupted_response_keeps_its_whole_items_only() -> None:
    whole = MessageItem(id="msg_1", status="completed")
    trace = ResponseTrace()
    for event in (
        ResponseCreated(response=Response(id="resp_1", model="m")),
        OutputItemAdded(sequence_number=1, output_index=0, item=MessageItem(id="msg_1")),
        OutputItemDone(sequence_number=2, output_index=0, item=whole),
        OutputItemAdded(sequence_number=3, output_index=1, item=CustomToolCallItem(id="ctc_1")),
        OutputTextDelta(sequence_number=4, delta="x"),
    ):
        trace.observe(event)
    accepted, interrupted, incomplete = trace.interrupt()
    assert accepted == InterruptAccepted(sequence_number=5, response_id="resp_1")
    assert interrupted == OutputItemInterrupted(
        sequence_number=6, response_id="resp_1", item_id="ctc_1", output_index=1
    )
    assert isinstance(incomplete, ResponseIncomplete)
    assert incomplete.sequence_number == 7
    response = incomplete.response
    assert (response.id, response.model, response.output) == ("resp_1", "m", [whole])
    assert response.incomplete_details is not None
    assert (response.status, response.incomplete_details.reason) == ("incomplete", "interrupted")
    assert trace.finished
