from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sparkcode.engine.base import Channel
from sparkcode.engine.ending import CompletionSink, Place, place_between


def ended(place: Place, text: str, *, sizes: tuple[int, ...] = (3,)) -> tuple[str, bool]:
    """What is said of ``text`` in pieces of these sizes in turn, and whether it was stopped."""
    sink, said, at, turn = CompletionSink(place), "", 0, 0
    while at < len(text) and not sink.full:
        size = sizes[turn % len(sizes)]
        channel, piece = sink.feed(text[at : at + size])
        assert channel == Channel()
        said, at, turn = said + piece, at + size, turn + 1
    full = sink.full
    return said + sink.finish(complete=True)[1], full


def completed(marked: str, text: str, language: str = "python", *, line_only: bool = False) -> str:
    """What is said at the ``|`` in ``marked`` of ``text``, which repeats the indentation there.

    A model repeats but one character of it.
    """
    prefix, _, suffix = marked.partition("|")
    head = prefix.rpartition("\n")[2]
    text = text.removeprefix(head[:-1]) if not head.strip() else text
    return ended(place_between(prefix, suffix, language, line_only=line_only), text)[0]


# --- one line -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("marked", "text", "said"),
    [
        ("foo(|)\n", "a, b)\nbar()", "a, b"),
        ("foo(|)\n", "bar(x)\n", "bar(x)"),
        ("foo(|, key=k)\n", "items, key=k)\n", "items"),
        ("foo(|, key=k)\n", "items, key=lambda: 1\n", "items, key=lambda: 1"),
        ("x = |  # why\n", "5  # why\ny = 2", "5"),
        ("if x|:\n", " > 0:\n    pass", " > 0"),
        ('x = "|"\n', 'abc"\n', "abc"),
        ('x = "|"\n', '" + y + "\n', '" + y + "'),
        ("foo(|)\n", "\n    a", ""),
        ("x[|]\n", "0]]", "0"),
    ],
)
def test_text_behind_the_cursor_keeps_it_to_a_line(marked: str, text: str, said: str) -> None:
    assert completed(marked, text) == said


@pytest.mark.parametrize(
    ("marked", "text", "said"),
    [
        ("def f():\n    |\n", "    return 1\n    x = 2", "return 1"),
        ("def f():|\n", "\n    return 1\n    x = 2", "\n    return 1"),
        ("x = foo(|\n)\n", "1)\n", "1"),
        ("x = |\n", " 1", "1"),
    ],
)
def test_a_line_may_be_asked_for(marked: str, text: str, said: str) -> None:
    assert completed(marked, text, line_only=True) == said


# --- a block --------------------------------------------------------------------------------

BODY = "class A:\n    def f(self):\n        |\n\n    def g(self):\n        pass\n"


@pytest.mark.parametrize(
    ("marked", "text", "said"),
    [
        # a line indented less
        (BODY, "        x = 1\n        return x\n\n    def h(self):\n", "x = 1\n        return x"),
        (
            BODY,
            "        if x:\n            y\n        return\n    z",
            "if x:\n            y\n        return",
        ),
        (BODY, "        x = [\n    1,\n]\n        y\n    z", "x = [\n    1,\n]\n        y"),
        (BODY, '        x = """\na\n"""\n        y\n    z', 'x = """\na\n"""\n        y'),
        # the cursor's line began a block
        ("def f():|\n", "\n    return 1\nx = 2", "\n    return 1"),
        ("if x:|\n", "\n    a\nelse:\n    b\nc", "\n    a\nelse:\n    b"),
        ("def f|\n", "(x):\n    return x\n\ny = 1", "(x):\n    return x"),
        ("x = 1|\n", "\ny = 2\nz = 3\n", "\ny = 2\nz = 3"),
        # the text below
        ("a = 1\n|\nb = 2\n", "c = 3\nb = 2\n", "c = 3"),
        ("def f():\n    |\n\n    return x\n", "    x = 1\n\n    return x\n", "x = 1"),
        (
            "def f():\n    |\n    return x\n",
            "    if y:\n        return x\n",
            "if y:\n        return x",
        ),
        ("a = 1\n|\nb = 2\n", "b = 2", ""),
        ('def f():\n    """|\n    """\n', 'Foo.\n\nBar\n    """\n', "Foo.\n\nBar"),
        # another definition
        ("|\n", "import a\n\n\ndef f():\n    pass\n", "import a"),
        ("|\n", "def f():\n    pass\n\n\n@x\ndef g():\n", "def f():\n    pass"),
        ("|\n", "a = 1\n\n# Next\nb", "a = 1"),
        (
            "class A:\n    |\n",
            "    def f(self):\n        pass\n\n    def g",
            "def f(self):\n        pass",
        ),
        ("class A:\n    |\n", "    x = 1\n\n    y = 2\n", "x = 1\n\n    y = 2"),
        ("class A:\n    |\n", "    a = 1\n\n    # Next.\n    # F.\n    def f(self):\n", "a = 1"),
        (
            "class A:\n    |\n",
            "    a = 1\n\n    # Next.\n    b = 2\n",
            "a = 1\n\n    # Next.\n    b = 2",
        ),
        ("class A:\n    |\n", "    a = 1\n\n    # Next.", "a = 1"),
        # many blank lines, loops
        ("|\n", "a = 1\n\n\n\nb = 2", "a = 1"),
        ("|\n", "a\nb\n" * 9, "a\nb\na\nb\na"),
        ("|\n", "a\n" * 9, "a\na\na\na"),
        ("|\n", "a\n", "a"),
        ("|\n", "\n\n", ""),
    ],
)
def test_a_block_of_python(marked: str, text: str, said: str) -> None:
    assert completed(marked, text) == said


@pytest.mark.parametrize(
    ("language", "marked", "text", "said"),
    [
        ("javascript", "f(() => {\n  |\n})\n", "  a()\n})\nb()", "a()"),
        ("javascript", "f(() => {|\n", "\n  a()\n})\nb()", "\n  a()\n})"),
        (
            "javascript",
            "if (x) {\n  |\n}\n",
            "  if (y) {\n    z()\n  }\n}\n",
            "if (y) {\n    z()\n  }",
        ),
        (
            "javascript",
            "class A {\n  |\n}\n",
            "  a () {\n    b()\n  }\n\n  c () {\n",
            "a () {\n    b()\n  }",
        ),
        ("javascript", "x(\n  |\n)\n", "  a, b)\n", "a, b"),
        ("go", "func A() int {|\n\nfunc B() {\n}\n", "\n\treturn 1\n}\n\nfunc", "\n\treturn 1\n}"),
        ("go", "func A() int {\n\t|\n}\n", "\treturn 1\n}\n", "return 1"),
        ("go", "func A|\n", "() int {\n\treturn 1\n}\n\nvar x = 1", "() int {\n\treturn 1\n}"),
        (
            "rust",
            "fn f<'a>() {\n    |\n}\n",
            "    let x = '{';\n    g(x);\n}\n",
            "let x = '{';\n    g(x);",
        ),
        (
            "bash",
            "f () {\n\t|\n}\n",
            "\tcase $1 in\n\ta) b;;\n\tesac\n}\n",
            "case $1 in\n\ta) b;;\n\tesac",
        ),
        ("bash", "if a; then|\n", "\n\tb\nfi\nc", "\n\tb\nfi"),
    ],
)
def test_blocks_of_others(language: str, marked: str, text: str, said: str) -> None:
    assert completed(marked, text, language) == said


def test_an_ending_stops_the_model() -> None:
    place = place_between("def f():\n    ", "\n\nx = 1\n", "python")
    assert ended(place, " return 1\ny", sizes=(1,)) == ("return 1", True)
    assert ended(place, " return 1", sizes=(1,)) == ("return 1", False)
    assert ended(place, "return 1", sizes=(1,)) == ("return 1", False)


def test_a_line_is_said_as_it_comes() -> None:
    sink = CompletionSink(place_between("def f():\n    ", "\n\nx = 1\n", "python"))
    assert sink.feed(" ret")[1] == "ret"
    assert sink.feed("urn 1\n    ")[1] == "urn 1"
    assert sink.feed("z")[1] == "\n    z"


# --- any text -------------------------------------------------------------------------------

CODE = st.lists(st.sampled_from([*"ab \n():{}\"'#,", "\n    ", "def f(", "\n\n"]), max_size=20).map(
    "".join
)
PLACES = st.builds(
    place_between,
    CODE,
    CODE,
    st.sampled_from(["python", "javascript", "rust", "bash", ""]),
    line_only=st.booleans(),
)
SIZES = st.lists(st.integers(1, 7), min_size=1, max_size=4).map(tuple)


@given(PLACES, CODE, SIZES)
@example(place_between("f(", ", ab)", "python"), "a, ab)", (2, 5))
def test_pieces_do_not_matter(place: Place, text: str, sizes: tuple[int, ...]) -> None:
    said = ended(place, text, sizes=sizes)[0]
    assert said == ended(place, text, sizes=(max(1, len(text)),))[0]
    assert said in text
    if place.line_only or place.tail:
        assert "\n" not in said.lstrip("\n \t")


@given(CODE, CODE)
def test_nothing_is_said_below_the_indentation(prefix: str, text: str) -> None:
    place = place_between(f"{prefix}\nif x:\n    ", "\n", "")
    for line in completed_lines(place, text):
        assert not line.strip() or line.startswith("    ") or place.inside


def completed_lines(place: Place, text: str) -> list[str]:
    """Whole lines of what is said, but for those in brackets of its own."""
    said = ended(place, text.translate({ord(char): "" for char in "\"'([{)]}"}))[0]
    return f"{place.head}{said}".split("\n")
