from __future__ import annotations

import pytest

from sparkcode.checks import css, script
from sparkcode.checks.wording import faults, introduced


def test_a_custom_property_needs_var() -> None:
    before = ":root { --brand: #00f; }\na { color: #00f; }\n"
    found = css.faults(before, before.replace("{ color: #00f", "{ color: --brand"), "")
    assert [fault.message for fault in found] == [
        "'--brand' is a custom property; its value is var(--brand)"
    ]
    right = before.replace("{ color: #00f", "{ color: var(--brand)")
    assert list(css.faults(before, right, "")) == []
    assert (
        list(css.faults(before, before + "b { --x: --brand; transition: --brand 1s; }", "")) == []
    )


@pytest.mark.parametrize(
    "after",
    [
        "const n = 0;\nfor (const v of vs) { n += v; }\n",
        "function f() { const n = 0; n = 1; }\n",
        "const n = 0; n++;\n",
        "const n: number = 0;\nif (n) { n -= 1; }\n",
    ],
)
def test_a_constant_that_is_assigned_to(after: str) -> None:
    (fault,) = script.faults("let n = 0;\n", after, "")
    assert fault.message == "'n' is a const and is assigned to; declare it with let"
    assert list(script.faults(after, after + ";", "")) == []


@pytest.mark.parametrize(
    "after",
    [
        "const n = 0;\nfunction f() { let n = 1; n = 2; }\n",
        "const n = [];\nn[0] = 1; n.x = 2;\n",
        "function f() { const n = 0; }\nlet n = 1; n = 2;\n",
        "const n = 0;\nconst f = (n) => { n = 1; };\n",
    ],
)
def test_other_variables_and_members_may_change(after: str) -> None:
    assert list(script.faults("let n = 0;\n", after, "")) == []


@pytest.mark.parametrize(
    ("instruction", "language", "names"),
    [
        ("Use the constant MAX_SIZE.", "python", ["MAX_SIZE"]),
        ("use asyncio.sleep, please.", "python", ["asyncio.sleep"]),
        ("call `total` then", "python", ["total"]),
        ("replace the loop with any()", "python", ["any"]),
        ("raise ValueError if it is negative", "python", ["ValueError"]),
        ("add a readonly createdAt", "typescript", ["readonly", "createdAt"]),
        ("add a readonly field", "python", []),
        ("use --brand here", "css", ["--brand"]),
        ("use let or const", "javascript", []),
        ("Tidy this up, e.g. the JavaScript. I mean it", "python", []),
        ("Rename old_name to new_name", "python", ["new_name"]),
    ],
)
def test_names_that_an_instruction_brings(
    instruction: str, language: str, names: list[str]
) -> None:
    assert list(introduced("old_name = 1\n", language, instruction)) == names


def test_a_name_of_the_instruction_has_to_be_used() -> None:
    asked = "Use MAX_SIZE and support len() with os.path.join"
    (size, length, join) = faults("a = 1\n", "a = 2\n", "python", asked)
    assert size.message == "'MAX_SIZE' of the instruction is not in it"
    assert "'len'" in length.message
    assert "'os.path.join'" in join.message
    after = "from os.path import join\n\nMAX_SIZE = 1\n\n\ndef __len__(self):\n    return join\n"
    assert list(faults("a = 1\n", after, "python", asked)) == []
