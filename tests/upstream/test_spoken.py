from __future__ import annotations

import itertools
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from sparkcode.engine.base import ToolCall
from sparkcode.upstream.spoken import MAX_CALL, SpokenCalls

CALL = '<tool_call>\n{"name": "look", "arguments": {"path": "a.py"}}\n</tool_call>'
LOOK = ToolCall("", "look", '{"path":"a.py"}', "function_call")


def heard(text: str, cuts: Iterable[int] = (), tools: Iterable[str] = ("look",)) -> list[object]:
    """Text joined between calls."""
    spoken = SpokenCalls(tools)
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    parts = [spoken.feed(text[a:b]) for a, b in itertools.pairwise(edges)]
    found: list[object] = []
    for piece in [piece for part in [*parts, spoken.end()] for piece in part]:
        if isinstance(piece, str) and found and isinstance(found[-1], str):
            found[-1] += piece
        elif piece != "":
            found.append(piece)
    return found


@given(cuts=st.lists(st.integers(0, 200), max_size=20))
def test_a_call_is_taken_out_wherever_the_text_is_cut(cuts: list[int]) -> None:
    assert heard(f"I look.\n{CALL}\nThen{CALL}", cuts) == ["I look.\n", LOOK, "\nThen", LOOK]


@given(text=st.text('<tool_cal>/{}"x', max_size=60), cuts=st.lists(st.integers(0, 60)))
def test_text_without_a_call_stays_as_it_is(text: str, cuts: list[int]) -> None:
    assert "".join(map(str, heard(text, cuts))) == text


def test_what_is_no_call_of_an_offered_tool_is_text() -> None:
    for inner in ("{", '{"name": "other", "arguments": {}}', '{"arguments": {}}', ""):
        text = f"a<tool_call>{inner}</tool_call>b"
        assert heard(text) == [text]
    assert heard(CALL, tools=()) == [CALL]


@given(cuts=st.lists(st.integers(0, 200), max_size=20))
def test_an_answer_that_is_a_call_without_marks(cuts: list[int]) -> None:
    bare = '{"name": "look", "arguments": {"path": "a.py"}}'
    assert heard(bare, cuts) == [LOOK]
    assert heard('\n{ "name": "look", "arguments": "{\\"path\\":\\"a.py\\"}"}\n', cuts) == [LOOK]
    assert heard(f'{bare}\n{bare}\n{{"name": "other"}}', cuts)[:2] == [LOOK, LOOK]
    assert heard(f"{bare} Done.", cuts) == [LOOK, " Done."]
    for text in (f"Say {bare}", '{"name": "other"}', '{"names": 1}', "{}", '{"name": "look"'):
        assert heard(text, cuts) == [text]


def test_the_last_call_may_lack_its_end() -> None:
    assert heard(CALL.removesuffix("</tool_call>")) == [LOOK]
    assert heard("<tool_call>{") == ["<tool_call>{"]


def test_a_call_of_any_length_does_not_fill_the_memory() -> None:
    text = "<tool_call>" + "x" * (MAX_CALL + 1)
    spoken = SpokenCalls(["look"])
    assert spoken.feed(text) == ["", text]
    assert spoken.feed("y") == ["y"]
    bare = SpokenCalls(["look"])
    text = '{"name":' + " " * MAX_CALL
    assert bare.feed(text) == [text]
    assert bare.feed("y") == ["y"]
