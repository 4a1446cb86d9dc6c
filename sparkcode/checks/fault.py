"""What can be wrong with an edit, and how much it counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal[
    "none",
    "check",
    "syntax",
    "undefined",
    "dropped",
    "form",
    "lint",
    "wider",
    "wording",
    "unchanged",
]
"""``none`` is an answer without an edit that could be applied, ``check`` a check of the user's that
failed, ``wider`` more than was asked for, ``wording`` a name of the instruction that the edit does
not have."""

_WEIGHTS: Final[dict[Kind, int]] = {
    "none": 100,
    "unchanged": 60,
    "syntax": 40,
    "check": 20,
    "undefined": 10,
    "dropped": 10,
    "form": 5,
    "lint": 5,
    "wider": 5,
    "wording": 2,
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong."""

    kind: Kind
    message: str
    """One line, for the user and for the model that tries again."""

    @property
    def weight(self) -> int:
        """How much worse an edit is for it."""
        return _WEIGHTS[self.kind]


def total(faults: Iterable[Fault]) -> int:
    """What all ``faults`` weigh; 0 for an edit that nothing is known against."""
    return sum(fault.weight for fault in faults)
