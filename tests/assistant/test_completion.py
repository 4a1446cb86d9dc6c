from __future__ import annotations

import asyncio

import pytest

from sparkcode.assistant.completion import (
    INSTRUCTIONS,
    Completion,
    complete,
    completion_request,
    cursor_in,
    inserted,
    insertion,
)
from sparkcode.assistant.meter import StreamStats
from sparkcode.assistant.turn import begin
from sparkcode.clock import LoopClock
from sparkcode.errors import EngineError, EngineUnreachableError, UsageError
from sparkcode.protocol.blocks import COMPLETE, COMPLETE_LINE, Cursor, FileBlock, split
from tests.assistant.server import Engine, virtually

CALC = FileBlock("calc.py", "def half(x):\n    \n", "python", cursor=Cursor(2, 5))
NOTES = FileBlock("notes.md", "Halves.\n", "markdown")


def answer(text: str, finish: str = "stop") -> Completion:
    return Completion(
        text, "length" if finish == "length" else "stop", begin(1, "", ""), StreamStats()
    )


# --- what is asked --------------------------------------------------------------------------


def test_the_request_is_plain_text_and_greedy() -> None:
    request = completion_request(CALC, [NOTES], "spark", max_tokens=9)
    assert isinstance(request.input, list)
    (item,) = request.input
    blocks, asked = split(item["content"][0]["text"])
    assert blocks == [NOTES, CALC]
    assert asked == COMPLETE
    assert (request.temperature, request.max_output_tokens, request.tools) == (0.0, 9, None)
    assert request.instructions == INSTRUCTIONS
    line = completion_request(CALC, [], "spark", line_only=True).input
    assert isinstance(line, list)
    assert line[0]["content"][0]["text"].endswith(COMPLETE_LINE)


@pytest.mark.parametrize(
    ("line", "column", "cursor"),
    [
        (1, None, Cursor(1, 3)),
        (1, 3, Cursor(1, 3)),
        (2, 1, Cursor(2, 1)),
        (3, None, Cursor(3, 1)),
    ],
)
def test_a_place_in_a_file(line: int, column: int | None, cursor: Cursor) -> None:
    assert cursor_in(FileBlock("f", "éa\r\nb\n"), line, column) == cursor


@pytest.mark.parametrize(
    ("line", "column", "message"),
    [
        (4, None, "line 4 is not in 'f', whose lines are 1 to 3"),
        (0, 1, "line 0 is not in 'f'"),
        (1, 4, "column 4 is not in line 1 of 'f', whose columns are 1 to 3"),
        (1, 0, "column 0 is not in line 1"),
    ],
)
def test_a_place_outside_says_what_would_be_right(
    line: int, column: int | None, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        cursor_in(FileBlock("f", "éa\r\nb\n"), line, column)


# --- what is inserted -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "language", "line_only", "expected"),
    [
        ("a\nb", "python", False, "a\nb"),
        ("```python\na\nb\n```\n", "python", False, "a\nb"),
        ("```python\na\n```", "markdown", False, "```python\na\n```"),
        ("```", "python", False, "```"),
        ("a\nb", "python", True, "a"),
        ("\n  a\nb", "python", True, "\n  a"),
    ],
)
def test_the_text_to_insert(text: str, language: str, line_only: bool, expected: str) -> None:
    block = FileBlock("f", "x\n", language, cursor=Cursor(1, 1))
    assert insertion(answer(text), block, line_only=line_only) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("a\nb\nc(", "a\nb"), ("\n  a(", "\n  a("), ("a", "a")]
)
def test_what_was_cut_short_ends_with_a_whole_line(text: str, expected: str) -> None:
    assert insertion(answer(text, "length"), CALC) == expected


def test_endings_are_those_of_the_file() -> None:
    block = FileBlock("f", "é\r\nb\r\n", cursor=Cursor(2, 2))
    text = insertion(answer("x\ny"), block)
    assert inserted(block, text) == "é\r\nbx\r\ny\r\n"
    assert inserted(CALC, "return x / 2") == "def half(x):\n    return x / 2\n"


# --- the answer -----------------------------------------------------------------------------


def test_an_answer_is_waited_for() -> None:
    async def work() -> None:
        engine = Engine()
        transport, _ = await engine.dial()
        asked = asyncio.create_task(
            complete(transport, completion_request(CALC, [], "m"), LoopClock())
        )
        frame = await engine.next()
        assert frame["input"][0]["content"][0]["text"].endswith(COMPLETE)
        await engine.answer(text="return x", pieces=3)
        completion = await asked
        assert (completion.text, completion.finish) == ("return x", "stop")
        assert completion.turn.model == "scripted"

    virtually(work)


@pytest.mark.parametrize(
    ("reason", "finish"), [("max_output_tokens", "length"), ("content_filter", None)]
)
def test_an_answer_that_was_cut_short(reason: str, finish: str | None) -> None:
    async def work() -> None:
        engine = Engine()
        transport, _ = await engine.dial()
        asked = asyncio.create_task(
            complete(transport, completion_request(CALC, [], "m"), LoopClock())
        )
        await engine.next()
        response_id = await engine.created()
        response = {"id": response_id, "incomplete_details": {"reason": reason}}
        await engine.send("response.incomplete", response=response)
        if finish is None:
            with pytest.raises(EngineError, match=reason):
                await asked
        else:
            assert (await asked).finish == finish

    virtually(work)


def test_a_link_that_ends_early() -> None:
    async def work() -> None:
        engine = Engine()
        transport, _ = await engine.dial()
        asked = asyncio.create_task(
            complete(transport, completion_request(CALC, [], "m"), LoopClock())
        )
        await engine.next()
        await engine.cut()
        with pytest.raises(EngineUnreachableError, match="closed the link"):
            await asked

    virtually(work)
