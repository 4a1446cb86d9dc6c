from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sparkcode.patch.align import Aligner, Delete, Insert, Keep, Step, is_trivial, similarity


def key(text: str) -> tuple[str, str]:
    return (text, "\n")


def aligned(before: list[str], after: list[str]) -> list[Step]:
    aligner = Aligner([key(text) for text in before])
    steps: list[Step] = []
    for text in after:
        steps += aligner.add(key(text))
    return steps + aligner.close()


def shown(before: list[str], after: list[str]) -> str:
    """One character a step: ``=`` kept, ``-`` deleted, ``+`` inserted."""
    names = {Keep: "=", Delete: "-", Insert: "+"}
    return "".join(names[type(step)] for step in aligned(before, after))


WORDS = ["first line here", "second part now", "third thing too", "fourth and last"]


def test_equal_lines_are_kept() -> None:
    assert shown(WORDS, WORDS) == "===="
    assert shown([], []) == ""


def test_a_deletion_is_seen_once_the_next_line_confirms_it() -> None:
    assert shown(WORDS, WORDS[2:]) == "--=="
    aligner = Aligner([key(text) for text in WORDS])
    assert aligner.add(key(WORDS[2])) == []
    assert aligner.judge("something entirely new") is None
    assert aligner.add(key(WORDS[3])) == [Delete(0), Delete(1), Keep(2), Keep(3)]


def test_a_copy_is_an_insertion() -> None:
    assert shown(WORDS, [WORDS[2], *WORDS]) == "+===="


def test_a_trivial_line_does_not_bridge_a_long_gap() -> None:
    before = [f"statement number {each}" for each in range(6)] + ["}", "tail of the file"]
    assert shown(before, ["}", "unheard of and new", *before]) == "++" + "=" * 8
    assert shown(before, [*before[:5], "}", "tail of the file"]) == "=====-=="
    assert shown(["", "}", "x"], ["}", "unheard of and new"]) == "-=+-"


def test_a_line_does_not_bridge_a_longer_gap_alone() -> None:
    before = [f"statement number {each}" for each in range(20)] + ["tail of the file", "end of it"]
    assert shown(before, ["tail of the file", "unheard of", *before]) == "++" + "=" * 22
    assert shown(before, ["end of it"]) == "-" * 21 + "="


def test_two_trivial_lines_bridge_a_middle_gap() -> None:
    before = [f"statement number {each}" for each in range(30)] + ["}", ""]
    assert shown(before, ["}", ""]) == "-" * 30 + "=="
    before = [f"statement number {each}" for each in range(50)] + ["}", "", "x"]
    assert shown(before, ["}", "", *before]) == "++" + "=" * 53


def test_a_like_line_is_a_replacement_and_an_unlike_one_an_insertion() -> None:
    assert aligned(["value = compute(a)"], ["value = compute(b)"]) == [
        Delete(0),
        Insert(key("value = compute(b)")),
    ]
    assert shown(["value = compute(a)"], ["import os, sys", "value = compute(a)"]) == "+="
    assert shown(["    value = 1"], ["        value = 1"]) == "-+"
    assert shown(["", "end"], ["x", "", "end"]) == "+=="


def test_among_like_lines_a_new_one_is_an_insertion() -> None:
    before = ["import json", "import sys"]
    assert shown(before, ["import json", "import os", "import sys"]) == "=+="
    assert shown(before, ["import abc", *before]) == "+=="


def test_a_new_function_is_not_a_renamed_one() -> None:
    before = ["def first(x):", "    pass"]
    assert shown(before, ["def other(x):", "    return 1", *before])[0] == "+"
    assert shown(before, ["def first(x, y):", "    pass"]) == "-+="
    assert shown(["}", "first():"], ["other(x, y):", "first():"])[0] == "+"
    assert shown(["if:"], ["if a, b, c, d:"])[-1] == "-"


def test_partial_lines_are_judged_once_there_is_evidence() -> None:
    aligner = Aligner([key("    total = add(a, b)"), key("    return total")])
    assert aligner.judge("    total = add(a") is None
    assert aligner.judge("    total = add(x") == [Delete(0)]
    assert aligner.judge("    r") is None
    assert aligner.judge("    logging.inf") == []
    aligner = Aligner([key("greeter = Greeter(argv)")])
    assert aligner.judge("speaker = Gree") is None
    assert aligner.add(key("speaker = Greeter(argv)")) == [
        Delete(0),
        Insert(key("speaker = Greeter(argv)")),
    ]
    assert aligner.judge("anything at all") == []


def test_similarity() -> None:
    assert similarity("", "  ", whole=True) == 1.0
    assert similarity("", "x", whole=True) == 0.0
    assert similarity("abc", "abcdef", whole=False) > similarity("abc", "abcdef", whole=True)


def test_trivial() -> None:
    assert all(is_trivial(text) for text in ("", "}", "    else:", "\tpass"))
    assert not is_trivial("    return x")


lines = st.lists(st.sampled_from(["", "}", "abc def", "abc deg", "long enough line", "x y"]))


@given(lines, lines)
def test_the_steps_rebuild_both_texts(before: list[str], after: list[str]) -> None:
    steps = aligned(before, after)
    old = [step.index for step in steps if not isinstance(step, Insert)]
    assert old == list(range(len(before)))
    new = [
        before[step.index] if isinstance(step, Keep) else step.key[0]
        for step in steps
        if not isinstance(step, Delete)
    ]
    assert new == after
