"""Which region an instruction means: the place, unless its words say otherwise."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.syntax.lines import Region, line_count, whole
from sparkcode.syntax.region import enclosing_region
from sparkcode.syntax.widen import Source, meant, renamed_name, uses

STACK = '''\
"""Stacks."""

from storage import load_rows

LIMIT = 10


class Stack:
    def __init__(self):
        self.items = []

    def push(self, item):
        limit = LIMIT
        if len(self.items) < limit:
            self.items.append(item)

    def reset(self):
        self.items = []


@cache
def make_stack(rows):
    stack = Stack()
    for row in rows:
        stack.push(row)
    return stack


class Other:
    def reset(self):
        return make_stack(load_rows())


def main():
    return Other()
'''
LINES = STACK.split("\n")


def at(text: str) -> Region:
    """The definition around the first line with ``text``."""
    line = next(number for number, each in enumerate(LINES, 1) if text in each)
    return enclosing_region(STACK, "python", line)


SOURCE = Source.of(STACK, "python")
PUSH, MAKE, MAIN = at("def push"), at("def make_stack"), at("def main")
CLASS, INIT, OTHER = at("class Stack"), at("def __init__"), at("class Other")


def test_the_places_are_what_they_seem() -> None:
    found = [str(each) for each in (PUSH, MAKE, CLASS)]
    assert found == ["12-15", "21-26", "8-18"]


@pytest.mark.parametrize(
    ("instruction", "place", "regions"),
    [
        ("Add a check", PUSH, (PUSH,)),
        ("Add a docstring to make_stack", PUSH, (MAKE,)),
        ("Add docstrings to `make_stack` and main()", PUSH, (MAKE, MAIN)),
        ("the class Stack needs a docstring", MAIN, (CLASS,)),
        ("Add a method pop_all to the class Stack", PUSH, (CLASS,)),
        ("Make Stack.reset return self", MAIN, (Region(17, 18),)),
        ("In the class Other, make `reset` quiet", PUSH, (Region(30, 31),)),
        # Two have the name: the one beside the place is meant, or none.
        ("Document `reset`", PUSH, (Region(17, 18),)),
        ("Document `reset`", MAIN, (MAIN,)),
        # What is used here is no other place, nor is what is to be used, nor what does not exist.
        ("Pass a list to make_stack", OTHER, (OTHER,)),
        ("Use make_stack here", MAIN, (MAIN,)),
        ("Add a function make_queue", PUSH, (PUSH,)),
        ("Add a method drop_all", CLASS, (CLASS,)),
        ("push should call log_item", PUSH, (PUSH,)),
        ("main should return 1", PUSH, (PUSH,)),
        ("Add type hints everywhere", PUSH, (whole(STACK),)),
        ("Add type hints to all functions", MAIN, (whole(STACK),)),
        ("Add type hints to all methods", PUSH, (CLASS,)),
        ("Add type hints to all methods", MAIN, (whole(STACK),)),
        ("Add type hints to all methods of the class Stack", MAIN, (CLASS,)),
    ],
)
def test_the_region_that_is_meant(
    instruction: str, place: Region, regions: tuple[Region, ...]
) -> None:
    assert meant(instruction, SOURCE, place) == regions


def lines_with(name: str) -> set[int]:
    return {number for number, line in enumerate(LINES, 1) if name in line}


@pytest.mark.parametrize(
    ("instruction", "place", "name"),
    [
        ("Rename make_stack to build", MAIN, "make_stack"),
        ("Rename it to build", MAKE, "make_stack"),
        ("Rename LIMIT to MOST", PUSH, "LIMIT"),
        ("Rename push to add", PUSH, "push"),
        ("Rename load_rows to rows", PUSH, "load_rows"),
        ("Rename items to values everywhere", MAIN, "items"),
    ],
)
def test_a_rename_goes_where_the_name_is(instruction: str, place: Region, name: str) -> None:
    regions = meant(instruction, SOURCE, place)
    assert regions == uses(SOURCE, name)
    held = {line for each in regions for line in range(each.first, each.last + 1)}
    assert lines_with(name) <= held
    assert len(held) < len(LINES) // 2


@pytest.mark.parametrize(
    ("instruction", "place"),
    [
        ("Rename limit to most", PUSH),
        ("Rename rows to lines", MAKE),
        ("Rename stack to pile", MAKE),
        ("Rename the parameter push to x", PUSH),
        ("Rename nothing to something", PUSH),
        ("Rename it to x", Region(13, 14)),
        # Short enough, and all of it is here.
        ("Rename main to start", MAIN),
    ],
)
def test_a_rename_of_what_only_the_place_knows_stays(instruction: str, place: Region) -> None:
    assert meant(instruction, SOURCE, place) == (place,)


@pytest.mark.parametrize(
    ("instruction", "place", "name"),
    [
        ("Rename make_stack to build", MAIN, "make_stack"),
        ("Rename it to Pile", CLASS, "Stack"),
        ("Rename load_rows to rows", PUSH, "load_rows"),
        ("Rename push to add", PUSH, ""),
        ("Rename push to add everywhere", PUSH, "push"),
        ("Rename limit to most", PUSH, ""),
        ("Rename the variable LIMIT to x", PUSH, ""),
        ("Add a check", PUSH, ""),
    ],
)
def test_what_other_files_follow(instruction: str, place: Region, name: str) -> None:
    assert renamed_name(instruction, SOURCE, place) == name


def test_a_parameter_that_is_called_like_a_function_is_its_own() -> None:
    text = "def rows():\n    pass\n\n\ndef show(\n    a, rows\n):\n    print(rows)\n"
    place = Region(5, 8)
    assert meant("Rename rows to lines", Source.of(text, "python"), place) == (place,)
    text = text.replace("a, rows", "a")
    assert meant("Rename rows to lines", Source.of(text, "python"), place) != (place,)


def test_a_long_place_is_narrowed_to_what_is_named() -> None:
    text = STACK + "\n" * 200
    source = Source.of(text, "python")
    assert meant("Add a docstring to make_stack", source, whole(text)) == (MAKE,)
    assert meant("Add a docstring", source, whole(text)) == (whole(text),)
    assert meant("Add a docstring to make_stack", SOURCE, whole(STACK)) == (whole(STACK),)


def test_of_a_long_definition_the_lines_around_a_name_go_along() -> None:
    body = "".join(f"    a{each} = {each}\n" for each in range(40))
    source = Source.of(f"def f():\n{body}    g()\n\n    b = 1\n{body}", "python")
    assert uses(source, "g") == (Region(39, 42),)
    assert uses(source, "a20") == (Region(19, 25), Region(62, 68))


def test_strings_and_brackets_go_along_whole() -> None:
    doc = "".join(f"    line {each}\n\n" for each in range(8))
    body = "".join(f"    a{each} = {each}\n" for each in range(40))
    source = Source.of(f'def f():\n    """Doc.\n\n{doc}    g\n    """\n{body}', "python")
    (place,) = uses(source, "g")
    assert source.lines[place.first - 1] == '    """Doc.'
    assert source.lines[20] == '    """'
    assert place.last >= 21
    names = "".join(f"    'name_{each}',\n" for each in range(12))
    source = Source.of(
        f"__all__ = [\n{names}]\n\n\ndef name_1():\n    pass\n" + "\n" * 99, "python"
    )
    assert uses(source, "name_1") == (Region(1, 14), Region(17, 18))


def test_other_languages_have_places_too() -> None:
    text = "fn one() {}\n\nfn two() {\n    one();\n}\n"
    source = Source.of(text, "rust")
    assert meant("Document one()", source, Region(3, 5)) == (Region(3, 5),)
    assert meant("Document two()", source, Region(1, 1)) == (Region(3, 5),)
    assert meant("Rename it to uno", source, Region(1, 1)) == (Region(1, 5),)
    plain = Source.of("a\n\nb\n", "")
    assert meant("Document b()", plain, Region(1, 1)) == (Region(1, 1),)


WORDS = st.lists(
    st.sampled_from(
        [
            *("rename", "to", "call it", "everywhere", "all methods", "Stack", "`reset`", "main()"),
            *("push", "items", "LIMIT", "load_rows", "the class", "in", "use", "and", "from"),
            *("this file", "make_stack", "should be called", "function"),
        ]
    ),
    max_size=8,
).map(" ".join)
TEXTS = st.sampled_from([STACK, STACK + "\n" * 150, "", "x", "Stack\n\npush", STACK * 5])


@given(WORDS | st.text(), TEXTS, st.sampled_from(["python", "rust", ""]), st.data())
def test_regions_lie_in_the_file_and_apart(
    instruction: str, text: str, language: str, data: st.DataObject
) -> None:
    first = data.draw(st.integers(1, line_count(text) + 1))
    place = Region(first, data.draw(st.integers(first - 1, line_count(text))))
    source = Source.of(text, language)
    regions = meant(instruction, source, place)
    assert regions
    for each in regions:
        assert each == place or 1 <= each.first <= each.last + 1 <= line_count(text) + 1
    assert all(one.last < other.first for one, other in pairwise(regions))
    if name := renamed_name(instruction, source, place):
        assert all(each.first <= each.last for each in uses(source, name))
