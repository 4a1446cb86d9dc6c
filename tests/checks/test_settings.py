from __future__ import annotations

import pytest

from sparkcode.checks.settings import faults

BEFORE = 'python: ["3.10", "3.11"]\nsteps:\n  - run: pytest\n'


@pytest.mark.parametrize(
    ("instruction", "after", "messages"),
    [
        (
            "also run on python 3.12 and cache pip",
            BEFORE.replace('11"]', '11", "3.12"]'),
            ["also cache pip"],
        ),
        (
            "also run on python 3.12 and cache pip",
            BEFORE.replace('11"]', '11", "3.12"]') + "cache: pip\n",
            [],
        ),
        (
            "run on 3.12, set a timeout",
            BEFORE + "x: 3.12\n",
            ["also set a timeout"],
        ),
        ("cache pip", BEFORE + "x: 1\n", []),
        ("remove 3.10 and run on 3.12", BEFORE.replace("3.10", "3.12"), []),
        ("sort the keys and indent with 2 spaces", BEFORE + "x: 1\n", []),
        ("add a step and set it up", BEFORE + "  - step: up\n", []),
    ],
)
def test_a_part_of_which_nothing_came(instruction: str, after: str, messages: list[str]) -> None:
    assert [fault.message for fault in faults(BEFORE, after, instruction)] == messages
