from __future__ import annotations

import pytest

from sparkcode.engine.brackets import scan


@pytest.mark.parametrize(
    ("text", "language", "opens", "closes"),
    [
        ("f(a[0], {", "python", 2, ()),
        ("a) + (b)\n}", "javascript", 0, (1, 9)),
        ("x = ')' + \"]\"  # }\n(", "python", 1, ()),
        ('"""\n) it\'s\n"""(', "python", 1, ()),
        ("'it\\'s )' [", "python", 1, ()),
        ("// )\n/* ] \n } */ {", "go", 1, ()),
        ("`)${a}` (", "javascript", 1, ()),
        ("fn f<'a>(x: &'a str) -> char { '}' ", "rust", 1, ()),
        ("c == '\\'' || c == '(' {", "rust", 1, ()),
        ("case x in\n  a) echo ${#b} # }\n", "bash", 0, ()),
        ('"never closed )\n(', "c", 1, ()),
        ("# ( is no comment", "", 1, ()),
    ],
)
def test_brackets_of_code_count_and_others_do_not(
    text: str, language: str, opens: int, closes: tuple[int, ...]
) -> None:
    found = scan(text, language)
    assert (found.opens, found.closes) == (opens, closes)


@pytest.mark.parametrize(
    ("text", "language", "inside"),
    [
        ("x = 'ab", "python", "'"),
        ("x = 'ab\\'", "python", "'"),
        ("x = 'ab\\\\'", "python", ""),
        ("x = 'ab\\", "python", "'"),
        ("x = 'ab\n", "python", ""),
        ('"""doc\n', "python", '"""'),
        ('"""doc"""', "python", ""),
        ("# note", "python", "#"),
        ("a // note", "go", "//"),
        ("/* note */", "go", ""),
        ("/* note\n", "go", "/*"),
        ("`raw\n", "go", "`"),
        ("x", "python", ""),
    ],
)
def test_where_a_text_ends(text: str, language: str, inside: str) -> None:
    assert scan(text, language).inside == inside


def test_a_text_may_begin_in_a_string() -> None:
    found = scan(') done""" + (a) )', "python", '"""')
    assert found.closes == (16,)
    assert scan("\n", "python", '"""').in_block
    assert not scan("x", "python", "#").in_block
