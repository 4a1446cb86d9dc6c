"""What a gateway knows of the server behind it, whatever the wire."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from sparkcode.errors import EngineError, EngineUnreachableError
from sparkcode.link.chat import models_of
from sparkcode.link.transport import Endpoint
from sparkcode.upstream import faults

CONCURRENT: Final = 64
"""Answers that are asked for at once; how many run is the other server's affair."""

SILENCE_SECONDS: Final = 120.0
"""How long a server may say nothing; one without a GPU reads a long prompt for a minute."""

UNKNOWN: Final = "upstream"
"""The model's name until it is known."""

CONTEXT_LENGTH_TOKENS: Final = 131_072
"""Where a server does not tell."""

_LENGTHS: Final = ("max_model_len", "context_length", "context_window", "max_context_length")


@dataclass(slots=True)
class Model:
    """The model that is asked for: the one named, else the first that the server lists."""

    endpoint: Endpoint
    name: str = ""
    context_length: int = CONTEXT_LENGTH_TOKENS
    """Tokens."""

    @property
    def known(self) -> str:
        return self.name or UNKNOWN

    async def get(self) -> str:
        """The name; EngineError if it has to be asked for and cannot be had."""
        if not self.name:
            self.name, self.context_length = await _first(self.endpoint)
        return self.name


@dataclass(frozen=True, slots=True)
class Terms:
    """How the server is asked."""

    url: str
    model: Model
    key: str = field(default="", repr=False)
    silence: float = SILENCE_SECONDS
    free_form: bool | None = None
    """Whether it knows custom tools; None finds out."""
    stores: bool = False
    """Whether it keeps responses that come over HTTP, and is to."""


async def _first(endpoint: Endpoint) -> tuple[str, int]:
    try:
        answer = await models_of(endpoint)
    except EngineUnreachableError as error:
        raise faults.unreachable(error) from error
    if answer.status in (401, 403):
        raise faults.key_refused(endpoint.url)
    found = first_model(answer.body) if answer.status == 200 else None
    if found is None:
        raise EngineError(
            f"the upstream at {endpoint.url} names no model (HTTP {answer.status}); "
            "name one with --model where the gateway runs",
            faults.BROKEN,
        )
    return found


def first_model(body: bytes) -> tuple[str, int] | None:
    """Name and context length in tokens of the first model in an answer of ``GET /models``."""
    try:
        listing = msgspec.json.decode(body, type=_Listing)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    for entry in listing.data or listing.models or ():
        name = entry.get("id") or entry.get("name")
        if isinstance(name, str) and name:
            return name, _length(entry)
    return None


def _length(entry: dict[str, Any]) -> int:
    meta = entry.get("meta")
    tables = (entry, meta if isinstance(meta, dict) else {})
    for table in tables:
        for key in (*_LENGTHS, "n_ctx"):
            value = table.get(key)
            if isinstance(value, int) and value > 0:
                return value
    return CONTEXT_LENGTH_TOKENS


class _Listing(msgspec.Struct):
    data: list[dict[str, Any]] | None = None
    models: list[dict[str, Any]] | None = None
