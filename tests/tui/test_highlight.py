from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sparkcode.tui.highlight import LONGEST_LINE, Colours, carries, find_lexer

CODE = ["def f():", '    """Doc', "    goes on", '    """', "    return 1", "", "# end"]


def joined(pieces: list[tuple[str, tuple[str, ...]]]) -> str:
    return "".join(text for text, _ in pieces)


def test_find_lexer() -> None:
    python = find_lexer("python", "x")
    assert python is not None
    assert python.name == "Python"
    toml = find_lexer("no-such-language", "pyproject.toml")
    assert toml is not None
    assert toml.name == "TOML"
    assert find_lexer("", "README") is None


def test_a_file_is_lexed_only_as_far_as_asked() -> None:
    colours = Colours(CODE, find_lexer("python", ""))
    assert colours[0] == [("def f():", ())]
    assert not colours.reached(0)
    assert colours.advance(0)
    assert colours[0][0] == ("def", ("Keyword",))
    assert not colours.reached(6)
    assert colours[5] == []
    while colours.advance(6, budget=1):
        pass
    assert colours.reached(6)
    assert colours[2] == [("    goes on", ("Literal", "String", "Doc"))]
    assert colours[6][0][1][0] == "Comment"
    assert not colours.advance(99)
    assert colours.reached(99)


@given(st.lists(st.text(alphabet="ab \"'#(x=\\"), max_size=8))
def test_colours_change_no_text(lines: list[str]) -> None:
    colours = Colours(lines, find_lexer("python", ""))
    colours.advance(len(lines))
    assert [joined(colours[at]) for at in range(len(lines))] == lines


def test_long_lines_and_unknown_languages_are_plain() -> None:
    long = "x" * (LONGEST_LINE + 1)
    colours = Colours([long], find_lexer("python", ""))
    assert colours.reached(0)
    assert colours[0] == [(long, ())]
    assert colours.alone(long) == ([(long, ())], ())
    assert Colours(["x"], None).alone("def") == ([("def", ())], ())


def test_a_line_alone_and_with_its_lead() -> None:
    colours = Colours([], find_lexer("python", ""))
    pieces, carry = colours.alone("    return 1")
    assert ("return", ("Keyword",)) in pieces
    assert not carries(carry)
    _, carry = colours.alone('x = """Doc')
    assert carries(carry) or carry == ()
    pieces, _ = colours.alone("goes on", ['x = """Doc'])
    assert pieces[0][1][:2] == ("Literal", "String")
