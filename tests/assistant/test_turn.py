from __future__ import annotations

from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.assistant.plain import one_line, plain, strip
from sparkcode.assistant.turn import Turn, begin, continued, failed, fold, interrupted, used
from sparkcode.protocol.events import (
    CustomToolCallInputDelta,
    CustomToolCallItem,
    ErrorBody,
    ErrorEvent,
    FunctionCallItem,
    IncompleteDetails,
    InputTokensDetails,
    MessageItem,
    OutputItem,
    OutputItemAdded,
    OutputItemDone,
    OutputText,
    OutputTextDelta,
    ReasoningItem,
    Response,
    ResponseCompleted,
    ResponseCreated,
    ResponseError,
    ResponseFailed,
    ResponseIncomplete,
    ResponseInProgress,
    ServerEvent,
    UnknownEvent,
    Usage,
)

START = begin(1, "Do it", "calc.py:1-2")
PATCH = CustomToolCallItem(name="apply_patch", call_id="c", input="*** Begin")
PATCH_ITEM_ADDED = OutputItemAdded(item=CustomToolCallItem(name="apply_patch"))
OTHER = CustomToolCallItem(name="shell", input="rm")


def said(text: str) -> MessageItem:
    return MessageItem(content=[OutputText(text=text)])


def play(*events: ServerEvent, turn: Turn = START) -> Turn:
    return reduce(fold, events, turn)


def delta(text: str) -> OutputTextDelta:
    return OutputTextDelta(delta=text)


def patch(text: str, index: int = 0) -> CustomToolCallInputDelta:
    return CustomToolCallInputDelta(delta=text, output_index=index)


def added(item: OutputItem, index: int = 0) -> OutputItemAdded:
    return OutputItemAdded(item=item, output_index=index)


def done(item: OutputItem, index: int = 0) -> OutputItemDone:
    return OutputItemDone(item=item, output_index=index)


def incomplete(reason: str | None) -> ResponseIncomplete:
    details = None if reason is None else IncompleteDetails(reason=reason)
    return ResponseIncomplete(response=Response(id="r", incomplete_details=details))


def test_a_turn_that_begins_waits() -> None:
    assert (START.phase, START.text, START.final) == ("waiting", "", False)


def test_lifecycle_events_identify_the_response() -> None:
    turn = play(
        ResponseCreated(response=Response(id="r", model="m")),
        ResponseInProgress(response=Response()),
    )
    assert (turn.response_id, turn.model, turn.phase) == ("r", "m", "waiting")


def test_content_starts_the_stream_and_an_empty_delta_does_not() -> None:
    assert play(delta("")).phase == "waiting"
    assert play(patch("")).phase == "waiting"
    assert play(delta("a"), delta("b")).text == "ab"
    assert play(delta("a")).phase == "streaming"
    assert play(patch("a")).phase == "streaming"


def test_completion_brings_usage() -> None:
    usage = Usage(input_tokens=3)
    response = Response(id="r", model="m", usage=usage, output=[said("ignored")])
    turn = play(delta("a"), done(said("a")), ResponseCompleted(response=response))
    assert (turn.phase, turn.text, turn.usage, turn.output) == (
        "completed",
        "a",
        usage,
        (said("a"),),
    )


def test_text_that_came_only_whole_is_taken() -> None:
    assert play(done(said("a"))).text == "a"
    assert play(done(PATCH)).patch == "*** Begin"
    response = Response(output=[said("a"), PATCH])
    turn = play(ResponseCompleted(response=response))
    assert (turn.text, turn.patch, turn.phase) == ("a", "*** Begin", "completed")


def test_only_the_first_patch_call_counts() -> None:
    turn = play(added(PATCH), patch("a"), added(PATCH, 1), patch("b", 1), done(PATCH))
    assert (turn.patch, turn.patch_index) == ("a", 0)


@pytest.mark.parametrize("item", [OTHER, FunctionCallItem(name="shell")])
def test_calls_to_other_tools_are_no_patch(item: OutputItem) -> None:
    turn = play(added(item), patch("rm"), done(item), patch("*** Begin", 1))
    assert turn.patch == "*** Begin"
    assert turn.output == (item,)


def test_two_messages_are_two_paragraphs() -> None:
    turn = play(added(said("")), delta("a\n"), added(said(""), 1), delta("b"))
    assert turn.text == "a\n\nb"
    assert play(added(ReasoningItem()), delta("a")).text == "a"


@pytest.mark.parametrize(
    ("event", "phase", "error"),
    [
        (incomplete("interrupted"), "interrupted", ""),
        (incomplete("max_output_tokens"), "failed", "the answer was cut short: max_output_tokens"),
        (incomplete(None), "failed", "the answer was cut short: no reason given"),
        (
            ResponseFailed(response=Response(error=ResponseError(message="a\x1b[31m\nb"))),
            "failed",
            "a b",
        ),
        (
            ResponseFailed(response=Response(error=ResponseError(code="rate_limit_exceeded"))),
            "failed",
            "rate_limit_exceeded",
        ),
        (ResponseFailed(response=Response()), "failed", "server_error"),
        (ErrorEvent(error=ErrorBody(message="no")), "failed", "no"),
        (ErrorEvent(error=ErrorBody(code="c")), "failed", "c"),
        (ErrorEvent(), "failed", "server_error"),
    ],
)
def test_how_a_turn_ends_early(event: ServerEvent, phase: str, error: str) -> None:
    turn = play(delta("kept"), event)
    assert (turn.phase, turn.error, turn.text, turn.final) == (phase, error, "kept", True)


def test_a_final_turn_absorbs_nothing() -> None:
    for turn in (interrupted(START), failed(START, "x")):
        assert fold(turn, delta("late")) is turn
        assert interrupted(turn) is turn
        assert failed(turn, "again") is turn


def test_unknown_events_change_nothing() -> None:
    assert play(UnknownEvent(type="new", raw={})) == START


EVENTS = st.one_of(
    st.builds(delta, st.text(max_size=5)),
    st.builds(patch, st.text(max_size=5), st.integers(0, 2)),
    st.builds(added, st.sampled_from([said(""), PATCH, OTHER]), st.integers(0, 2)),
    st.builds(done, st.sampled_from([said("x"), PATCH, OTHER]), st.integers(0, 2)),
    st.sampled_from(
        [
            ResponseCreated(response=Response(id="r")),
            ResponseCompleted(response=Response(id="r", output=[said("y")])),
            incomplete("interrupted"),
            ErrorEvent(),
        ]
    ),
)


@given(st.lists(EVENTS, max_size=12), st.data())
def test_folding_does_not_depend_on_how_frames_are_batched(
    events: list[ServerEvent], data: Any
) -> None:
    cut = data.draw(st.integers(0, len(events)))
    first = play(*events[:cut])
    assert play(*events[cut:], turn=first) == play(*events)


@given(st.lists(st.text("a\x1b[]31;m\x07\\\n\x9c (", max_size=6), max_size=6))
def test_stripping_does_not_depend_on_where_the_text_is_cut(pieces: list[str]) -> None:
    turn = play(*map(delta, pieces))
    assert turn.text == plain("".join(pieces))
    assert "\x1b" not in turn.text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\nc", "a\tb\nc"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0\x1b\\x", "x"),
        ("\x1b]0;never ends\nnext", "\nnext"),
        ("\x1b(Bx\x1bcy\x1b", "xy"),
        ("a\r\x08b\x00\x7f\x85\x9b", "ab"),
        ("safe\u202egnp.exe\u2066\u200f", "safegnp.exe"),
        ("\x1b\x1b[31mx", "x"),
        ("\x1b[31", ""),
        ("\x1béx", "éx"),
    ],
)
def test_plain_text_cannot_steer_a_terminal(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_an_endless_sequence_hides_a_bounded_text() -> None:
    clean, held = strip("\x1b]" + "a" * 5000)
    assert (clean, held) == ("a" * 904, "")
    assert strip("\x1b]aaa") == ("", "\x1b]aaa")


def test_one_line_is_short() -> None:
    assert one_line(" a\n  b\x1b[0m ") == "a b"
    assert one_line("x" * 400) == "x" * 299 + "…"


def ended(*output: OutputItem, tokens: int = 0) -> ResponseCompleted:
    usage = Usage(
        input_tokens=tokens,
        input_tokens_details=InputTokensDetails(cached_tokens=tokens // 2),
        output_tokens=tokens // 10,
        total_tokens=tokens + tokens // 10,
    )
    return ResponseCompleted(
        response=Response(output=list(output), usage=usage if tokens else None)
    )


def test_a_turn_goes_on_behind_its_calls() -> None:
    call = FunctionCallItem(name="read_file", call_id="r", arguments="{}")
    turn = play(OutputTextDelta(delta="Let me see."), ended(said("Let me see."), call, PATCH))
    assert turn.calls == (call, PATCH)
    turn = continued(used(turn, "read a.py:\n 3 lines"))
    assert (turn.phase, turn.final, turn.round) == ("working", False, 2)
    assert (turn.patch, turn.output, turn.calls) == ("", (), ())
    assert [(use.at, use.said) for use in turn.uses] == [(11, "read a.py: 3 lines")]
    second = PATCH_ITEM_ADDED
    turn = play(second, CustomToolCallInputDelta(delta="*** End", output_index=0), turn=turn)
    assert (turn.phase, turn.patch) == ("streaming", "*** End")
    turn = play(OutputItemAdded(output_index=1, item=said("")), turn=turn)
    turn = play(OutputTextDelta(delta="Done."), ended(), turn=turn)
    assert (turn.phase, turn.text) == ("completed", "Let me see.\n\nDone.")


def test_what_a_turn_used_is_the_sum_of_its_responses() -> None:
    turn = play(ended(said("x"), tokens=100))
    turn = play(ended(said("y"), tokens=40), turn=continued(turn))
    turn = play(ended(said("z")), turn=continued(turn))
    assert turn.usage is not None
    assert (turn.usage.input_tokens, turn.usage.output_tokens) == (140, 14)
    assert turn.usage.input_tokens_details.cached_tokens == 70
    assert turn.usage.total_tokens == 154
    unknown = continued(play(ended(said("x"))))
    assert unknown.usage is None
    known = play(ended(said("y"), tokens=40), turn=unknown)
    assert known.usage is not None
    assert known.usage.input_tokens == 40
