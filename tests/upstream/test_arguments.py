from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.upstream.arguments import ArgumentText, arguments_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
CUTS = st.lists(st.integers(0, 400), max_size=12)


def decoded(arguments: str, cuts: list[int]) -> str:
    text = ArgumentText()
    edges = [0, *sorted(min(cut, len(arguments)) for cut in cuts), len(arguments)]
    pieces = [text.feed(arguments[a:b]) for a, b in itertools.pairwise(edges)]
    return "".join([*pieces, text.end()])


@given(text=TEXTS, cuts=CUTS, ascii_only=st.booleans(), indent=st.sampled_from([None, 2]))
def test_any_text_in_any_pieces(
    text: str, cuts: list[int], ascii_only: bool, indent: int | None
) -> None:
    arguments = json.dumps({"input": text}, ensure_ascii=ascii_only, indent=indent)
    assert decoded(arguments, cuts) == text


@given(text=TEXTS, cuts=CUTS)
def test_the_first_string_is_the_text_whatever_is_around_it(text: str, cuts: list[int]) -> None:
    assert decoded(json.dumps({"patch": text, "more": "no"}), cuts) == text
    assert decoded(json.dumps({"n": 1, "x": [2], "input": text}), cuts) == text


@given(text=TEXTS)
def test_what_goes_out_comes_back(text: str) -> None:
    assert decoded(arguments_of(text), []) == text


@given(junk=st.text(max_size=60), cuts=CUTS)
def test_nothing_is_too_broken_to_be_read(junk: str, cuts: list[int]) -> None:
    assert isinstance(decoded(junk, cuts), str)
    assert isinstance(decoded('{"input": "' + junk, cuts), str)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("*** Begin Patch\n+x\n", "*** Begin Patch\n+x\n"),
        ('{"input": "cut off \\', "cut off "),
        ('{"input": "cut off \\u00', "cut off "),
        ('{"input": "a\\ud83d!"}', "a\ufffd!"),
        ('{"input": "a\\ud83d\\n"}', "a\ufffd\n"),
        ('{"input": "a\\ud83d\\u0041"}', "a\ufffdA"),
        ('{"input": "\\ude00"}', "\ufffd"),
        ('{"input": "\\u12_4"}', "\ufffd"),
        ('{"input": "a\\ud83', "a"),
        ("{}", "{}"),
        ('{"input": 3}', '{"input": 3}'),
        ("", ""),
        ("[1]", "[1]"),
    ],
)
def test_a_model_that_gets_the_form_wrong(arguments: str, text: str) -> None:
    assert decoded(arguments, []) == text
    assert decoded(arguments, list(range(len(arguments)))) == text


def test_text_is_given_out_as_it_comes() -> None:
    text = ArgumentText()
    assert text.feed('{"inp') == ""
    assert text.feed('ut": "one') == "one"
    assert text.feed("\\") == ""
    assert text.feed("ntwo") == "\ntwo"
    assert text.feed('"}') == ""
    assert text.feed("ignored") == ""


def test_an_object_that_never_comes_to_its_string_costs_linear_time() -> None:
    text = ArgumentText()
    pieces = ['{"a": 1, ', *(f'"k{at}": {at}, ' for at in range(20_000)), '"input": "found"}']
    assert "".join(map(text.feed, pieces)) + text.end() == "found"
