from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sparkcode.engine.fence import FenceStop

PARTS = st.lists(st.sampled_from(["a", "`", "``", "```", "````", "\n", " ", "```\n", "x\n"]))


def before_fence(text: str) -> str:
    """The slow way: whole text, line by line."""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if line.strip() == "```":
            return "\n".join(lines[:number])
    return text


@given(PARTS)
def test_any_chunking_stops_at_the_fence(parts: list[str]) -> None:
    stop = FenceStop("```")
    text = "".join(stop.feed(part) for part in parts) + stop.finish()
    assert text == before_fence("".join(parts))
    assert stop.closed == any(line.strip() == "```" for line in "".join(parts).split("\n"))


def test_text_flows_while_a_line_cannot_be_the_fence() -> None:
    stop = FenceStop("```")
    assert stop.feed("de") == "de"
    assert stop.feed("f f():\n") == "f f():"
    assert stop.feed("  ") == ""
    assert stop.feed("return 1") == "\n  return 1"
    assert stop.feed("\n```\nand more") == ""
    assert stop.closed
    assert stop.feed("and more\n") == ""
