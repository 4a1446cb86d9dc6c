"""What an engine is: a request in, steps out.

An engine is a plain, synchronous generator. It knows nothing of sockets, events or clocks: the
caller pulls one :class:`Step` at a time (on a worker thread when steps cost time), decides when
each is released, and stops pulling, then calls ``close()`` on the generator, to cancel. A prefill
yields steps without text between its chunks, so that a cancel takes effect within one step.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from sparkcode.protocol.variants import PromptStyle

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length"]
ChannelKind = Literal["message", "custom_tool_call", "function_call"]


@dataclass(frozen=True, slots=True)
class Message:
    """Text that somebody said. ``developer`` messages arrive as ``system``."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model made earlier in the conversation."""

    call_id: str
    name: str
    input: str
    """Free-form text, or JSON arguments when ``kind`` is ``function_call``."""
    kind: Literal["custom_tool_call", "function_call"] = "custom_tool_call"


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """What the client answered to a :class:`ToolCall`."""

    call_id: str
    output: str


Item = Message | ToolCall | ToolOutput


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that the client offers."""

    name: str
    kind: Literal["custom", "function"]
    spec: dict[str, Any] = field(default_factory=dict)
    """The tool as the client sent it."""


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """One turn, whole: engines keep no conversation, only caches keyed by content."""

    items: tuple[Item, ...]
    """Instructions first (as a system message), oldest to newest."""
    tools: tuple[Tool, ...] = ()
    max_output_tokens: int | None = None
    temperature: float = 0.0
    """0 is greedy."""
    top_p: float = 1.0
    seed: int | None = None
    prompt: PromptStyle = ""
    """How an edit is put to the model; "" is the engine's own way."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What else the client gave, as it gave it, for an engine that passes the question on."""

    @property
    def last_user_text(self) -> str:
        """Text of the newest user message, or "" when there is none."""
        for item in reversed(self.items):
            if isinstance(item, Message) and item.role == "user":
                return item.text
        return ""

    def offers(self, name: str) -> bool:
        """Whether the client offers the tool ``name``."""
        return any(tool.name == name for tool in self.tools)


@dataclass(frozen=True, slots=True)
class Channel:
    """Where a step's text goes: the answer's message, or the input of a tool call."""

    kind: ChannelKind = "message"
    name: str = ""
    """The tool's name; empty for a message."""
    index: int = 0
    """Counts the output items of the response; a new index closes the item before it."""
    call_id: str = ""
    """The call's id where another server has given it one; otherwise the server makes it."""


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Token counts of a response."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    passes: int = 0
    """Forward passes that brought output tokens; the first token comes with the prompt's."""
    drafted_tokens: int = 0
    """Output tokens that were guessed and verified together with others."""
    accepted_tokens: int = 0
    """Those of them that were right."""

    @property
    def tokens_per_pass(self) -> float | None:
        """Mean accepted length: output tokens a pass, the first left out; None without a pass."""
        return (self.output_tokens - 1) / self.passes if self.passes else None

    def then(self, other: TokenUsage) -> TokenUsage:
        """The counts of this and of what follows it in the same response.

        The pass that ended the other's prompt brought its first token: it counts here.
        """
        return TokenUsage(
            self.input_tokens + other.input_tokens,
            self.cached_tokens + other.cached_tokens,
            self.output_tokens + other.output_tokens,
            self.passes + 1 + other.passes,
            self.drafted_tokens + other.drafted_tokens,
            self.accepted_tokens + other.accepted_tokens,
        )


@dataclass(frozen=True, slots=True)
class Step:
    """What one forward pass (or one piece of a script) brought."""

    sim_time: float
    """Seconds from the request to this step's last token, on the simulated chip."""
    text: str = ""
    """Text for ``channel``; may be empty while tokens are not yet certain text."""
    tokens: int = 0
    """Model tokens that this step produced; 0 for a prefill step."""
    channel: Channel = Channel()
    finish_reason: FinishReason | None = None
    """Set on the last step only."""
    usage: TokenUsage | None = None
    """Counts so far; always on the last step, and on others so that a cut answer has them."""
    prefill_seconds: float = 0.0
    """Wall seconds of prefill that this step's work took."""
    decode_seconds: float = 0.0
    """Wall seconds of decode that this step's work took: passes without a draft, and choosing."""
    draft_seconds: float = 0.0
    """Wall seconds that guessing tokens took."""
    verify_seconds: float = 0.0
    """Wall seconds of passes that verified a draft. A pass that several answers share counts whole
    for each of them: it is what each waited for."""
    more: bool = False
    """The next step is at hand and costs no time."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """Who answers. Never hidden: the HUD, ``doctor`` and every JSON show it."""

    engine: Literal["spark", "scripted", "upstream"]
    model: str
    context_length: int
    """Tokens of prompt and answer together."""
    profile: str = ""
    """The simulated chip and model, such as ``wse3/gpt-oss-120b``; empty when there is none."""
    concurrent: int = 1
    """Answers that are best made at once, their generators pulled in turn."""
    behind: str = ""
    """The engine that really answers, as the server behind an ``upstream`` calls it."""

    @property
    def simulates(self) -> bool:
        """Whether steps carry the time of a simulated chip."""
        return self.engine != "upstream" or self.profile != ""


class Engine(Protocol):
    """The seam between the server and whatever makes the tokens.

    ``generate`` and ``warm`` raise EngineError for what the request made impossible.
    """

    @property
    def info(self) -> EngineInfo: ...

    def generate(self, request: GenerateRequest) -> Generator[Step, None, None]:
        """Steps of one answer, the last with ``finish_reason`` and ``usage``."""
        ...

    def warm(self, request: GenerateRequest) -> Generator[Step, None, None]:
        """Prepare caches for a request that will continue this one; steps without text."""
        ...


class AsyncEngine(Protocol):
    """An engine that waits instead of computing: its steps come on the event loop.

    As :class:`Engine` otherwise. A cancelled or closed generator stops what it waits for.
    """

    @property
    def info(self) -> EngineInfo: ...

    def generate(self, request: GenerateRequest) -> AsyncGenerator[Step, None]: ...

    def warm(self, request: GenerateRequest) -> AsyncGenerator[Step, None]: ...
