from __future__ import annotations

import pytest

from sparkcode.assistant.testing import place_of_tests


@pytest.mark.parametrize(
    ("path", "there", "expected"),
    [
        ("calc.py", (), "test_calc.py"),
        ("calc.py", ("tests",), "tests/test_calc.py"),
        ("calc.py", ("tests", "test_calc.py"), "test_calc.py"),
        ("pkg/calc.py", ("tests",), "tests/test_calc.py"),
        ("pkg/sub/calc.py", ("tests", "tests/sub"), "tests/sub/test_calc.py"),
        ("src/pkg/sub/calc.py", ("tests", "tests/sub"), "tests/sub/test_calc.py"),
        ("pkg/calc.py", ("tests", "tests/pkg", "tests/pkg/test_calc.py"), "tests/pkg/test_calc.py"),
        ("pkg/calc.py", ("pkg/tests/test_calc.py",), "pkg/tests/test_calc.py"),
        ("tests/test_calc.py", (), "tests/test_calc.py"),
        ("a/calc.ts", (), "a/calc.test.ts"),
        ("a/calc.ts", ("a/calc.spec.ts",), "a/calc.spec.ts"),
        ("a/calc.js", ("a/__tests__/calc.test.js", "a/__tests__"), "a/__tests__/calc.test.js"),
        ("a/calc.go", (), "a/calc_test.go"),
        ("src/calc.rs", (), "src/calc.rs"),
        ("src/main/java/a/Calc.java", (), "src/test/java/a/CalcTest.java"),
        ("calc.c", (), "test_calc.c"),
    ],
)
def test_where_tests_go(path: str, there: tuple[str, ...], expected: str) -> None:
    assert place_of_tests(path, "add", there.__contains__).path == expected


@pytest.mark.parametrize(
    ("path", "name", "there", "expected"),
    [
        ("src/pkg/calc.py", "add", (), "from pkg.calc import add"),
        ("pkg/__init__.py", "add", (), "from pkg import add"),
        ("calc.py", "", (), "import calc"),
        ("a/calc.ts", "add", (), 'import { add } from "./calc"'),
        ("a/calc.ts", "add", ("a/__tests__", "a/__tests__/calc.test.ts"), '"../calc"'),
        ("a/calc.ts", "", (), "as in Jest."),
        ("a/calc.go", "Add", (), "same package"),
        ("src/calc.rs", "add", (), "use super::*"),
        ("Calc.java", "Calc", (), "JUnit 5"),
        ("calc.c", "add", (), "no framework"),
    ],
)
def test_what_their_author_has_to_know(
    path: str, name: str, there: tuple[str, ...], expected: str
) -> None:
    assert expected in place_of_tests(path, name, there.__contains__).hint
