from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from sparkcode.protocol.blocks import Cursor, FileBlock, parse, render, split

CALC = FileBlock("src/calc.py", "def add(a, b):\n    return a - b\n", "python", (1, 2))

TEXTS = st.text(st.sampled_from('ab`\n\r #~"é\u2028()') | st.characters(codec="utf-8"))
PATHS = st.text(st.characters(codec="utf-8"), min_size=1) | st.sampled_from(
    [
        "a b.py",
        ' "x" ',
        "né.py",
        "a\nb",
        '"quoted',
        '"5"',
        "x\u2028y",
        "Edit region: lines 1-2",
        "Cursor: line 1 column 1",
    ]
)
REGIONS = st.tuples(st.integers(1, 999), st.integers(0, 999))
BLOCKS = st.builds(
    FileBlock,
    path=PATHS,
    text=TEXTS,
    language=st.sampled_from(["", "python", "c++"]),
    region=st.none() | REGIONS,
    cursor=st.none() | st.builds(Cursor, st.integers(1, 999), st.integers(1, 999)),
    selected=st.none() | REGIONS,
    new=st.booleans(),
) | st.builds(
    FileBlock,
    path=PATHS,
    text=TEXTS,
    region=REGIONS,
    also=st.lists(REGIONS, max_size=3).map(tuple),
)


def test_a_block_as_it_travels() -> None:
    assert render(CALC) == (
        "File: src/calc.py\nEdit region: lines 1-2\n```python\n"
        "def add(a, b):\n    return a - b\n```\n"
    )


def test_several_regions_travel_in_one_block() -> None:
    block = FileBlock("a.py", "x\ny\nz\n", "python", (1, 1), also=((3, 3), (4, 3)))
    assert render(block).startswith("File: a.py\nEdit region: lines 1-1, 3-3, 4-3\n```python\n")
    assert parse(render(block)) == [block]
    assert block.regions == ((1, 1), (3, 3), (4, 3))
    assert FileBlock("a.py", "x\n").regions == ()


def test_a_selection_and_a_new_file_are_told() -> None:
    asked = FileBlock("calc.py", "x\n", "python", selected=(1, 1))
    assert render(asked) == "File: calc.py\nSelected: lines 1-1\n```python\nx\n```\n"
    new = FileBlock("calc.py", "", "python", (1, 0), new=True)
    assert render(new) == "File: calc.py\nEdit region: lines 1-0\nNew file\n```python\n```\n"


def test_a_cursor_travels_beside_the_path() -> None:
    block = FileBlock("calc.py", "x = \n", "python", cursor=Cursor(1, 5))
    assert render(block) == "File: calc.py\nCursor: line 1 column 5\n```python\nx = \n```\n"


@given(BLOCKS)
@example(FileBlock("a", ""))
@example(FileBlock("a", "", cursor=Cursor(1, 1)))
@example(FileBlock("Cursor: line 1 column 2", "Cursor: line 3 column 4", region=(1, 1)))
@example(FileBlock("a", "\n"))
@example(FileBlock("a", "x\r\ny"))
@example(FileBlock("a", "```\nx\n````"))
@example(FileBlock("a", "x\n```\n(no newline at end of file)\n"))
def test_any_block_comes_back(block: FileBlock) -> None:
    assert parse(render(block)) == [block]


@given(st.lists(BLOCKS, max_size=3), st.text(st.characters(codec="utf-8", exclude_characters="`")))
def test_blocks_leave_the_rest_of_a_message(blocks: list[FileBlock], instruction: str) -> None:
    message = "".join(render(block) + "\n" for block in blocks) + f"Instruction: {instruction}"
    found, rest = split(message)
    assert found == blocks
    assert rest == f"Instruction: {instruction}".strip()


def test_what_is_no_block_is_text() -> None:
    for text in (
        "no block",
        "File: a.py\nno fence",
        "File: a.py\n```\nnever closed",
        "File: a.py\nCursor: line x column 1\n```\nx\n```\n",
        "File: a.py\nEdit region: lines 1-2,3-4\n```\nx\n```\n",
        " File: a.py\n```\nx\n```\n",
    ):
        assert split(text) == ([], text.strip())


def test_an_unclosed_block_does_not_hide_the_next() -> None:
    text = "File: a.py\n`````\nFile: b.py\n```\nx\n```\n"
    assert [block.path for block in parse(text)] == ["b.py"]


def test_a_path_that_only_looks_quoted_is_taken_as_it_is() -> None:
    for path in ('"open', '"', '"a" b'):
        assert parse(f"File: {path}\n```\nx\n```\n")[0].path == path
