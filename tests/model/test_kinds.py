from __future__ import annotations

import pytest

from sparkcode.model.blocks import Kind
from sparkcode.model.ggml import EXACT_KINDS, READABLE
from sparkcode.model.kinds import Role, kind_of, role_of
from sparkcode.model.rounding import rounded_kind

ROLES: tuple[Role, ...] = ("head", "other")


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("output.weight", "head"),
        ("token_embd.weight", "other"),
        ("blk.3.ffn_down.weight", "other"),
        ("blk.3.ffn_up.weight", "other"),
        ("blk.3.attn_output.weight", "other"),
    ],
)
def test_roles(name: str, role: Role) -> None:
    assert role_of(name) == role


@pytest.mark.parametrize("encoding", sorted(READABLE))
@pytest.mark.parametrize("role", ROLES)
def test_every_type_is_kept_or_can_be_rounded(encoding: str, role: Role) -> None:
    kind = kind_of(encoding, role)
    assert kind == EXACT_KINDS.get(encoding) or rounded_kind(kind) == kind


@pytest.mark.parametrize("kind", ["q4", "q4k"])
def test_kinds_that_only_keep(kind: Kind) -> None:
    with pytest.raises(ValueError, match="cannot be rounded to"):
        rounded_kind(kind)
