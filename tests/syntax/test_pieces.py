"""A long region is cut at definitions, and nothing of it is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sparkcode.syntax.lines import Region, line_count, whole
from sparkcode.syntax.pieces import MAX_LINES, pieces


def function(name: str, lines: int, indent: str = "") -> str:
    body = "".join(f"{indent}    x{at} = {at}\n" for at in range(lines - 1))
    return f"{indent}def {name}():\n{body}"


CLASS = "class Box:\n" + "\n".join(function(f"m{at}", 9, "    ") for at in range(20))
MODULE = f'"""Doc."""\n\nimport os\n\n\n{function("a", 40)}\n\n# Of b.\n{function("b", 40)}\n\n'


def cut(text: str, lines: int, *, language: str = "python") -> tuple[Region, ...]:
    """All of ``text`` in pieces of at most so many lines."""
    return pieces(text, language, whole(text), limit=lines, usual=lines)


def starts(text: str, found: tuple[Region, ...]) -> list[str]:
    return [text.split("\n")[each.first - 1] for each in found]


def test_a_short_region_stays_as_it_is() -> None:
    text = "\n" * MAX_LINES
    assert pieces(text, "python", Region(1, MAX_LINES)) == (Region(1, MAX_LINES),)
    assert pieces("", "python", Region(1, 0)) == (Region(1, 0),)
    assert pieces("\n" * 500, "python", Region(1, 500)) == (Region(1, 500),)


def test_whole_definitions_are_packed_and_keep_their_comments() -> None:
    text = MODULE + function("c", 60) + "\n\nif c:\n    c()\n"
    found = cut(text, 100)
    assert starts(text, found) == ['"""Doc."""', "def c():"]
    found = cut(text, 50)
    assert starts(text, found)[:2] == ['"""Doc."""', "# Of b."]
    assert text.split("\n")[found[0].last - 1] == "    x38 = 38"


def test_a_long_class_is_cut_between_methods_and_ends_with_itself() -> None:
    text = f"import os\n\n\n{CLASS}\n\n{function('after', 5)}"
    found = cut(text, 100)
    assert starts(text, found) == ["import os", "class Box:", "    def m10():", "def after():"]


def test_pieces_are_short_unless_a_definition_is_long() -> None:
    text = "\n\n".join(
        function(f"f{at}", size) for at, size in enumerate([15, 15, 15, 70, 15, 130])
    )
    found = pieces(text, "python", whole(text))
    names = ["def f0():", "def f2():", "def f3():", "def f4():", "def f5():"]
    assert starts(text, found)[:5] == names
    assert [each.last - each.first + 1 for each in found][2] == 70
    assert max(each.last - each.first + 1 for each in found) == MAX_LINES


def test_without_definitions_paragraphs_count_and_then_any_line() -> None:
    text = "".join("\n" if at % 30 == 29 else f"row {at}\n" for at in range(200))
    found = cut(text, 100, language="")
    assert starts(text, found) == ["row 0", "row 90", "row 180"]
    text = "".join(f"row {at}\n" for at in range(200))
    assert cut(text, 100, language="") == (Region(1, 100), Region(101, 200))


def test_a_string_is_not_parted_where_it_can_be_helped() -> None:
    code = "".join(f"x{at} = {at}\n" for at in range(90))
    text = f'{code}doc = """\n{"a" * 9}\n\n{"b" * 9}\n\nc\n"""\n{code}'
    found = cut(text, 95)
    assert starts(text, found)[1] == 'doc = """'
    long = '"""\n' + "word\n" * 300 + '"""\n'
    assert len(cut(long, 100)) == 4


TEXTS = st.lists(
    st.sampled_from(
        ["", "", "x", "    y", "def f():", "    def g():", "        z", "class C:", "# c"]
    ),
    max_size=60,
).map(lambda lines: "".join(f"{line}\n" for line in lines))


@given(TEXTS, st.integers(1, 20), st.integers(1, 20), st.data())
def test_pieces_hold_every_line_that_is_not_blank(
    text: str, limit: int, usual: int, data: st.DataObject
) -> None:
    lines = text.split("\n")
    first = data.draw(st.integers(1, line_count(text) + 1))
    last = data.draw(st.integers(first - 1, line_count(text)))
    found = pieces(text, "python", Region(first, last), limit=limit, usual=min(usual, limit))
    held = [line for each in found for line in range(each.first, each.last + 1)]
    assert held == sorted(set(held))
    wanted = {line for line in range(first, last + 1) if lines[line - 1].strip()}
    assert wanted <= set(held) <= set(range(first, last + 1))
    if wanted:
        assert all(each.last - each.first < limit for each in found)
