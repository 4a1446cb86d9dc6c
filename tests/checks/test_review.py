"""What is found wrong with an edited file, and what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.checks.fault import Fault, total
from sparkcode.checks.review import review

BOX = """import time


class Box:
    def __init__(self, items):
        self.items = items

    def size(self):
        return len(self.items)


def age(then):
    return time.time() - then
"""


def kinds(before: str, after: str, language: str = "python", instruction: str = "x") -> list[str]:
    return [fault.kind for fault in review(before, after, language, instruction)]


def messages(before: str, after: str, language: str = "python", asked: str = "x") -> str:
    return "; ".join(fault.message for fault in review(before, after, language, asked))


def test_the_same_text_is_unchanged() -> None:
    assert review(BOX, BOX, "python", "x") == (Fault("unchanged", "the answer changes nothing"),)


def test_a_right_edit_has_no_fault() -> None:
    after = BOX.replace("len(self.items)", "len(self.items) + 1")
    assert review(BOX, after, "python", "Count one more.") == ()


# --- syntax ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "before", "after"),
    [
        ("python", "x = 1\n", "x = (1\n"),
        ("python", "def f():\n    pass\n", "def f():\n    await g()\n"),
        ("python", "x = 1\n", "return 1\n"),
        ("javascript", "let x = 1;\n", "let x = (1;\n"),
        ("typescript", "let x: number = 1;\n", "let x: = 1;\n"),
        ("go", "package a\n\nfunc f() {}\n", "package a\n\nfunc f() {\n"),
        ("rust", "fn f() {}\n", "fn f( {}\n"),
        ("json", '{"a": 1}', '{"a": 1,}'),
        ("toml", "a = 1\n", "a = \n"),
        ("yaml", "a:\n  - b\n", "a:\n  - b\n c: [\n"),
    ],
)
def test_what_parsed_has_to_parse(language: str, before: str, after: str) -> None:
    assert "syntax" in kinds(before, after, language)


@pytest.mark.parametrize("language", ["python", "javascript", "json", "toml", "rust"])
def test_what_did_not_parse_need_not(language: str) -> None:
    assert "syntax" not in kinds("x = ( [\n", "y = ( [\n", language)


@pytest.mark.parametrize("text", ["(" * 5000, "a\x00b", "x = " + "-" * 20_000 + "1", "\ud800"])
def test_texts_that_break_a_compiler_are_faults_not_crashes(text: str) -> None:
    assert "syntax" in kinds("x = 1\n", text.encode(errors="replace").decode())


# --- what is gone ---------------------------------------------------------------------------


def test_a_definition_that_nobody_asked_to_remove() -> None:
    after = BOX.replace("    def size(self):\n        return len(self.items)\n", "")
    assert "'size' is gone" in messages(BOX, after, asked="Add a docstring.")
    assert messages(BOX, after, asked="Remove what is unused.") == ""
    assert messages(BOX, after, asked="We need no size any more") == ""


def test_a_renamed_definition_is_not_gone() -> None:
    after = BOX.replace("class Box", "class Crate")
    assert messages(BOX, after, asked="Rename the class to Crate.") == ""
    assert "'Box' is gone" in messages(BOX, after, asked="Add a docstring.")


def test_a_value_class_needs_no_constructor() -> None:
    before = "class P:\n    def __init__(self, x):\n        self.x = x\n"
    after = "from dataclasses import dataclass\n\n\n@dataclass\nclass P:\n    x: int\n"
    assert messages(before, after, asked="make it a dataclass") == ""


@pytest.mark.parametrize(
    ("language", "text", "name", "gone"),
    [
        ("javascript", "const f = () => 1;\nfunction g() {}\n", "g", "function g() {}"),
        ("javascript", "const f = () => 1;\nfunction g() {}\n", "f", "const f = () => 1;"),
        ("go", "package a\n\nfunc F() {}\n\nfunc G() {}\n", "G", "func G() {}"),
        ("rust", "fn f() {}\nfn g() {}\n", "g", "fn g() {}"),
        ("java", "class A { void f() {} void g() {} }\n", "g", "void g() {}"),
        ("c", "int f() {}\nint g() {}\n", "f", "int f() {}"),
        ("bash", "f() { :; }\ng() { :; }\n", "g", "g() { :; }"),
    ],
)
def test_definitions_are_missed_in_every_language(
    language: str, text: str, name: str, gone: str
) -> None:
    after = text.replace(gone, "")
    assert after != text
    assert f"'{name}' is gone" in messages(text, after, language)


# --- form -----------------------------------------------------------------------------------


def test_a_stray_fence() -> None:
    assert kinds("x = 1\n", "```\nx = 2\n", "text") == ["form"]
    assert kinds("# A\n", "# A\n\n```\nx\n```\n", "markdown") == []


def test_indentation_is_kept() -> None:
    assert kinds("a:\n  b\n", "a:\n\tb\n", "text") == ["form"]
    assert kinds("a:\n\tb\n", "a:\n\tb\n  c\n", "text") == ["form"]
    assert kinds("a:\n\tb\n  c\n", "a:\n\tb\n  c\n  d\n", "text") == []


# --- the whole ------------------------------------------------------------------------------


def test_faults_weigh() -> None:
    assert total(()) == 0
    none, wording = Fault("none", ""), Fault("wording", "")
    assert none.weight > Fault("unchanged", "").weight > Fault("syntax", "").weight
    assert Fault("undefined", "").weight > wording.weight > 0
    assert total((none, wording)) == none.weight + wording.weight


def test_a_very_long_file_is_not_looked_into() -> None:
    assert review("x = 1\n", "x = (\n" + "#" * (1 << 20), "python", "x") == ()


@given(st.text(max_size=200), st.text(max_size=200), st.sampled_from(["python", "css", "", "tsx"]))
def test_any_texts_can_be_reviewed(before: str, after: str, language: str) -> None:
    for fault in review(before, after, language, after):
        assert "\n" not in fault.message
