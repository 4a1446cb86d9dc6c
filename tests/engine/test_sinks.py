from __future__ import annotations

import pytest

from sparkcode.engine.base import Channel
from sparkcode.engine.prompt import EditTask
from sparkcode.engine.sinks import NO_CHANGE, MessageSink, PatchSink
from sparkcode.patch.apply import apply_update
from sparkcode.patch.parser import parse
from sparkcode.protocol.blocks import FileBlock

FILE = "import os\n\n\ndef divide(a, b):\n    return a / b\n"
TOOL = Channel("custom_tool_call", "apply_patch")


def patch_sink() -> PatchSink:
    return PatchSink(EditTask(FileBlock("calc.py", FILE, "python", (4, 5)), "Check b."))


def said(sink: PatchSink, text: str, *, chunk: int = 3) -> str:
    pieces = [text[at : at + chunk] for at in range(0, len(text), chunk)]
    return "".join(sink.feed(piece)[1] for piece in pieces)


def test_a_message_is_said_as_it_comes() -> None:
    sink = MessageSink()
    assert sink.feed("hi") == (Channel(), "hi")
    assert sink.finish(complete=True) == (Channel(), "")
    assert not sink.full


@pytest.mark.parametrize("tail", ["\n```", "\n```\n", "\n```\nSome prose.", ""])
def test_a_rewrite_becomes_a_patch_of_its_region(tail: str) -> None:
    sink = patch_sink()
    rewritten = "def divide(a, b):\n    if not b:\n        raise ValueError\n    return a / b"
    patch = said(sink, rewritten + tail)
    channel, rest = sink.finish(complete=True)
    assert channel == TOOL
    (file,) = parse(patch + rest).files
    assert apply_update(FILE, file.chunks) == f"import os\n\n\n{rewritten}\n"


def test_an_unchanged_region_is_a_message_not_a_patch() -> None:
    sink = patch_sink()
    assert said(sink, "def divide(a, b):\n    return a / b\n```\n") == ""
    assert sink.full
    assert sink.finish(complete=True) == (Channel(), NO_CHANGE)


def test_a_rewrite_cut_short_stays_an_unfinished_patch() -> None:
    sink = patch_sink()
    patch = said(sink, "def divide(a, b, c):\n    return")
    channel, rest = sink.finish(complete=False)
    assert (channel, rest) == (TOOL, "")
    assert "*** Begin Patch" in patch
    assert "*** End Patch" not in patch
