"""What lies between a chip and its user: the protocol's overhead per turn and per token. Pure.

OpenAI told ratios when it put a persistent WebSocket and a leaner Responses API under GPT-5.3-
Codex-Spark (2026-02-12): per round trip -80 %, per token -30 %. No milliseconds are public. Those
of HTTP here are *derived*: that agent loops became up to 40 % faster (2026-04-22) makes the
overhead of a turn about as long as the rest of it, 0.2 to 0.5 s. The WebSocket's follow by the two
ratios, and a server that keeps the conversation has no history to read again. That times to first
token halved is not put in; it is left to come out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Transport:
    """Seconds, all assumed."""

    name: str
    turn: float = 0.0
    """Per turn, before its first token."""
    history_token: float = 0.0
    """Per token of history that is sent and tokenised again, before a turn's first token."""
    token: float = 0.0
    """Per token of an answer."""

    def before_first(self, history_tokens: int) -> float:
        return self.turn + self.history_token * history_tokens


NO_NETWORK: Final = Transport("none")
HTTP: Final = Transport("http", turn=0.3, history_token=1e-7, token=0.3e-3)
WEBSOCKET: Final = Transport("websocket", turn=HTTP.turn * (1 - 0.8), token=HTTP.token * (1 - 0.3))
TRANSPORTS: Final[Mapping[str, Transport]] = MappingProxyType(
    {each.name: each for each in (NO_NETWORK, HTTP, WEBSOCKET)}
)
