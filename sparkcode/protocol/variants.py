"""How a client asks the same engine for another answer to the same question.

Sampled answers need a seed, which the Responses API does not have, and an engine may know more than
one way to put a question to its model. Both travel in the request's ``metadata``, which servers
that know nothing of it keep or ignore:

    {"sparkcode_seed": "3", "sparkcode_prompt": "other"}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast, get_args

import msgspec

from sparkcode.protocol.events import ResponseCreate

PromptStyle = Literal["", "rich", "other"]
"""The engine's own prompt, the one that says most, or one that is not its own."""

_SEED, _PROMPT = "sparkcode_seed", "sparkcode_prompt"


@dataclass(frozen=True, slots=True)
class Variant:
    """What makes one answer differ from another."""

    prompt: PromptStyle = ""
    seed: int | None = None


def varied(request: ResponseCreate, variant: Variant) -> ResponseCreate:
    """``request`` with a variant in its metadata."""
    metadata = dict(request.metadata or {})
    if variant.seed is not None:
        metadata[_SEED] = str(variant.seed)
    if variant.prompt:
        metadata[_PROMPT] = variant.prompt
    return msgspec.structs.replace(request, metadata=metadata)


def variant_of(request: ResponseCreate) -> Variant:
    """The variant that a request asks for; what is not understood is left out."""
    metadata = request.metadata or {}
    prompt, seed = metadata.get(_PROMPT, ""), metadata.get(_SEED)
    known = prompt if prompt in get_args(PromptStyle) else ""
    digits = isinstance(seed, str) and seed.isascii() and seed.isdigit() and len(seed) <= 9
    return Variant(cast(PromptStyle, known), int(cast(str, seed)) if digits else None)
