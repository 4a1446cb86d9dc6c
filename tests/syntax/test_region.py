from __future__ import annotations

import subprocess
import sys

import pytest

from sparkcode.syntax.languages import language_of
from sparkcode.syntax.lines import Region, line_count, whole
from sparkcode.syntax.region import enclosing_region

PYTHON = """\
import os

@cache
@other(
    1)
def one():
    x = 1

    def inner():
        return x
    return inner


class Box:
    size = 1

    @property
    def area(self):
        return self.size
"""
SCRIPT = """\
import x from "x";

export function one() {
  return 1;
}

export default class Box {
  size = () => {
    return 1;
  };

  area() {
    return 2;
  }
}

const two = () => {
  return 2;
};
let three = 3;
"""
TYPED = """\
interface Shape {
  area: number;
}

@Component({})
export class Box {
  @Input()
  @Output()
  area(): number {
    return 1;
  }
}

type Name =
  | "a";
enum Kind {
  A,
}
"""
TSX = """\
const App = () => {
  return <div>
    x
  </div>;
};
"""
GO = """\
package main

type Box struct {
	size int
}

func (b Box) Area() int {
	return b.size
}

func main() {
	f := func() {
		return
	}
	f()
}
"""
RUST = """\
#[derive(Debug)]
#[repr(C)]
struct Box {
    size: u32,
}

impl Box {
    #[inline]
    fn area(&self) -> u32 {
        self.size
    }
}

mod tests {
    fn t() {
    }
}
"""
JAVA = """\
class Box {
    int size;

    @Override
    public int area() {
        return size;
    }

    enum Kind {
        A
    }
}
"""
C = """\
#include <stdio.h>

struct point {
    int x;
};

typedef struct {
    int y;
} other;

struct point make(void)
{
    struct point p;
    return p;
}
"""
CPP = """\
namespace n {

template <typename T>
class Box {
  int area() {
    return 1;
  }
};

}
"""


TEXTS = {
    "python": PYTHON,
    "javascript": SCRIPT,
    "typescript": TYPED,
    "tsx": TSX,
    "go": GO,
    "rust": RUST,
    "java": JAVA,
    "c": C,
    "cpp": CPP,
}


@pytest.mark.parametrize(
    ("language", "line", "region"),
    [
        ("python", 1, (1, 19)),
        ("python", 2, (1, 19)),
        ("python", 3, (3, 11)),
        ("python", 5, (3, 11)),
        ("python", 7, (3, 11)),
        ("python", 8, (3, 11)),
        ("python", 10, (9, 10)),
        ("python", 11, (3, 11)),
        ("python", 12, (1, 19)),
        ("python", 14, (14, 19)),
        ("python", 16, (14, 19)),
        ("python", 17, (17, 19)),
        ("python", 99, (1, 19)),
        ("javascript", 1, (1, 20)),
        ("javascript", 3, (3, 5)),
        ("javascript", 7, (7, 15)),
        ("javascript", 9, (8, 10)),
        ("javascript", 11, (7, 15)),
        ("javascript", 13, (12, 14)),
        ("javascript", 18, (17, 19)),
        ("javascript", 20, (1, 20)),
        ("typescript", 2, (1, 3)),
        ("typescript", 5, (5, 12)),
        ("typescript", 7, (7, 11)),
        ("typescript", 10, (7, 11)),
        ("typescript", 15, (14, 15)),
        ("typescript", 17, (16, 18)),
        ("tsx", 3, (1, 5)),
        ("go", 1, (1, 16)),
        ("go", 4, (3, 5)),
        ("go", 8, (7, 9)),
        ("go", 13, (11, 16)),
        ("rust", 1, (1, 5)),
        ("rust", 4, (1, 5)),
        ("rust", 8, (8, 11)),
        ("rust", 12, (7, 12)),
        ("rust", 15, (15, 16)),
        ("java", 2, (1, 12)),
        ("java", 4, (4, 7)),
        ("java", 10, (9, 11)),
        ("c", 1, (1, 15)),
        ("c", 4, (3, 5)),
        ("c", 8, (7, 9)),
        ("c", 11, (11, 15)),
        ("c", 13, (11, 15)),
        ("cpp", 1, (1, 10)),
        ("cpp", 3, (3, 8)),
        ("cpp", 6, (5, 7)),
    ],
)
def test_the_innermost_definition(language: str, line: int, region: tuple[int, int]) -> None:
    assert enclosing_region(TEXTS[language], language, line) == Region(*region)


def test_a_file_that_does_not_parse_still_has_definitions() -> None:
    text = "def a():\n    x = 1 +\n\ndef b():\n    return 1\n"
    assert enclosing_region(text, "python", 5) == Region(4, 5)


def test_a_wrapper_around_no_definition_is_none() -> None:
    assert enclosing_region("typedef int number;\nint x;\n", "c", 1) == Region(1, 2)


def test_windows_line_endings_count_like_others() -> None:
    assert enclosing_region(PYTHON.replace("\n", "\r\n"), "python", 10) == Region(9, 10)


def test_a_short_text_without_a_grammar_is_one_region() -> None:
    assert enclosing_region("a\n\nb\nc\n", "markdown", 3) == Region(1, 4)


@pytest.mark.parametrize(
    ("line", "region"), [(1, (1, 2)), (3, (1, 302)), (4, (4, 4)), (302, (6, 302)), (999, (1, 302))]
)
def test_a_long_text_without_a_grammar_has_paragraphs(line: int, region: tuple[int, int]) -> None:
    text = "\n".join(["a", "b", "", "c", " "] + ["d"] * 297)
    assert enclosing_region(text, "", line) == Region(*region)


@pytest.mark.parametrize(("text", "lines"), [("", 0), ("a", 1), ("a\n", 1), ("a\n\n", 2)])
def test_lines_are_counted_by_newlines(text: str, lines: int) -> None:
    assert line_count(text) == lines
    assert whole(text) == Region(1, lines)
    assert str(whole("a\nb")) == "1-2"


@pytest.mark.parametrize(
    ("path", "language"),
    [("a/b.py", "python"), ("B.PY", "python"), ("x.hpp", "cpp"), ("Makefile", ""), ("a.zzz", "")],
)
def test_the_ending_tells_the_language(path: str, language: str) -> None:
    assert language_of(path) == language


def test_no_grammar_is_imported_before_it_is_needed() -> None:
    program = (
        "import sys, sparkcode.syntax.region as r\n"
        "assert not [m for m in sys.modules if m.startswith('tree_sitter')]\n"
        "r.enclosing_region('def a():\\n  pass\\n', 'python', 1)\n"
        "print(sorted(m for m in sys.modules if m.startswith('tree_sitter_') and '.' not in m))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "['tree_sitter_python']"
