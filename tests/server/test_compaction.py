from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.engine.base import Item, Message, ToolCall, ToolOutput
from sparkcode.server.compaction import compact, expand

MESSAGES = st.builds(
    Message, st.sampled_from(["system", "user", "assistant"]), st.text(st.characters(codec="utf-8"))
)


@given(st.lists(MESSAGES, max_size=5))
def test_what_was_said_comes_back(messages: list[Message]) -> None:
    assert expand(compact(messages)) == tuple(messages)


def test_what_tools_did_does_not() -> None:
    items: list[Item] = [Message("user", "a"), ToolCall("c", "f", "{}"), ToolOutput("c", "x" * 999)]
    assert expand(compact(items)) == (Message("user", "a"),)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "?",
        "é",
        "AAAA",
        base64.b64encode(b'[["wizard","x"]]').decode(),
        base64.b64encode(b"[" * 100_000).decode(),
        base64.b64encode(b'[["user","x",' + b"[" * 100_000).decode(),
    ],
)
def test_what_was_not_made_here_is_refused(content: str) -> None:
    with pytest.raises(ValueError, match="no compacted conversation"):
        expand(content)
