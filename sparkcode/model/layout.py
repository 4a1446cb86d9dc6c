"""Which kind of record holds which matrix.

A matrix whose codes a kind can hold as they are keeps them: nothing is lost, and no other kind is
smaller by much. The others are rounded by least squares (:mod:`sparkcode.model.rounding`), and how
finely depends on what the matrix is for.
"""

from __future__ import annotations

from typing import Final, Literal

from sparkcode.model.blocks import Kind
from sparkcode.model.ggml import EXACT_KINDS

Role = Literal["head", "down", "other"]
"""An output head of its own; the second matrix of a feed-forward block; all other matrices."""

_ROUNDED: Final[dict[tuple[str, Role], Kind]] = {
    ("Q8_0", "head"): "q5",
    ("Q6_K", "head"): "q5",
    ("Q6_K", "down"): "q6",
    ("Q6_K", "other"): "q6",
}


def role_of(name: str) -> Role:
    """The role of the matrix called ``name`` in the file.

    An embedding that is the head as well is no head here: its errors would count twice.
    """
    if name == "output.weight":
        return "head"
    return "down" if name.endswith(".ffn_down.weight") else "other"


def kind_of(encoding: str, role: Role) -> Kind:
    """The kind of record for a matrix of a GGML type."""
    return _ROUNDED.get((encoding, role)) or EXACT_KINDS.get(encoding) or "q8"
