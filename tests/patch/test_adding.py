from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.errors import PatchSyntaxError
from sparkcode.patch.adding import AddWriter
from sparkcode.patch.parser import parse

pieces = st.lists(st.sampled_from(["\n", "\r\n", "\r", "a", "+", "*** End Patch", " ", "é", "\t"]))


def added(chunks: list[str]) -> str:
    writer = AddWriter("new.py")
    patch = "".join([*map(writer.feed, chunks), writer.close()])
    assert writer.changed == bool(patch)
    return patch


@given(pieces)
def test_the_file_that_a_patch_adds_is_the_text(chunks: list[str]) -> None:
    text = "".join(chunks)
    patch = added(chunks)
    assert patch == added([text]) == added(list(text))
    if not text:
        assert patch == ""
        return
    assert patch.startswith("*** Begin Patch\n*** Add File: new.py\n")
    assert patch.endswith("*** End Patch\n")
    lines = text.removesuffix("\n").split("\n")
    (file,) = parse(patch).files
    assert file.added == tuple(line.rstrip("\r") for line in lines)


@pytest.mark.parametrize("path", ["", "a\nb", "a.py ", "a.py\t"])
def test_a_path_that_no_patch_can_name(path: str) -> None:
    with pytest.raises(PatchSyntaxError, match="cannot stand in a patch"):
        AddWriter(path)


def test_a_line_arrives_as_it_is_written() -> None:
    writer = AddWriter("a.py")
    assert writer.feed("x =") == "*** Begin Patch\n*** Add File: a.py\n+x ="
    assert writer.feed(" 1\r") == " 1"
    assert writer.feed("\ny") == "\n+y"
    assert writer.end() == "\n"
    assert writer.end() == ""
    assert writer.close() == "*** End Patch\n"
