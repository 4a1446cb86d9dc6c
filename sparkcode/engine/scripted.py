"""Canned answers with their own timing: for demos, client tests and replay.

A script is JSON lines; the first whose ``match`` is found in the last user text answers:

    {"match": "rename", "patch": "*** Begin Patch\\n...", "ttft": 0.08, "tokens_per_second": 1200}
    {"match": "weather", "call": {"name": "get_weather", "arguments": {"city": "Oslo"}}}
    {"match": "break", "reply": "I will", "error": "the engine gave up"}
    {"match": "", "reply": "Hello."}

``error`` fails the turn, after the text where there is one. A built-in last line answers anything.

A line with ``result`` goes on where a tool has returned: it answers when the regular expression is
found in what came back, and only then. A patch or a call is made once a question: without
``result`` it does not answer what a tool returns.

    {"match": "tidy", "call": {"name": "search", "arguments": {"pattern": "TODO"}}}
    {"match": "tidy", "result": "notes.py:3", "patch": "*** Begin Patch\\n..."}
    {"match": "tidy", "result": "Success", "reply": "Done."}

This engine never stands in silently for another: its model is called ``scripted``.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec

from sparkcode.engine.base import (
    Channel,
    EngineInfo,
    FinishReason,
    GenerateRequest,
    Message,
    Step,
    TokenUsage,
    ToolCall,
    ToolOutput,
)
from sparkcode.errors import EngineError, ScriptError

CONTEXT_LENGTH_TOKENS = 131_072
"""What the model it plays has."""

CONCURRENT = 256
"""Answers at once: they cost no time, and each is told at its own pace."""

COUNTED = 64
"""Characters of the longest text whose tokens are counted."""
CHARACTERS = 4
"""Of a token of a longer one."""

_PIECE = re.compile(r"\s*\w{1,6}|\s*[^\w\s]{1,3}|\s+")
_MAX_SCRIPT_BYTES = 16 * 1024 * 1024


class ScriptedError(msgspec.Struct, frozen=True):
    message: str
    code: str = "server_error"


class ScriptedCall(msgspec.Struct, frozen=True):
    name: str
    arguments: Any = None


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a script."""

    match: str = ""
    """Regular expression searched in the last user text; empty matches anything."""
    result: str | None = None
    """Regular expression searched in what the newest calls returned; without it the line is for a
    question."""
    reply: str | None = None
    patch: str | None = None
    """apply_patch text, sent as a custom tool call."""
    call: ScriptedCall | None = None
    error: str | ScriptedError | None = None
    ttft: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 0.1
    """Simulated seconds to the first token."""
    tokens_per_second: Annotated[float, msgspec.Meta(gt=0, le=1e6)] = 1000.0
    """Simulated decode rate after the first token."""


_ANYTHING = Rule(reply="The scripted engine has no line for this; it answers anyway.")


def parse_script(lines: Iterable[str], name: str) -> tuple[Rule, ...]:
    """Rules of a script; ScriptError names the file, the line and what would be right."""
    rules = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{name}:{number}"
        try:
            rule = msgspec.json.decode(line, type=Rule)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise ScriptError(f"{where}: no line of a script: {error}") from error
        for key, pattern in (("match", rule.match), ("result", rule.result or "")):
            try:
                re.compile(pattern)
            except (re.error, OverflowError, RecursionError) as error:
                raise ScriptError(f"{where}: {key!r} is no regular expression: {error}") from error
        if (rule.reply, rule.patch, rule.call, rule.error) == (None, None, None, None):
            raise ScriptError(f"{where}: needs one of 'reply', 'patch', 'call' or 'error'")
        rules.append(rule)
    return tuple(rules)


def pieces(text: str) -> list[str]:
    """``text`` cut into token-sized pieces; joined they give ``text`` again."""
    return _PIECE.findall(text)


@dataclass(frozen=True, slots=True)
class ScriptedEngine:
    """Engine that answers from rules; its steps cost no time of their own."""

    rules: tuple[Rule, ...] = ()

    @classmethod
    def from_file(cls, path: Path | None) -> ScriptedEngine:
        """The engine of a script file; without one, only the built-in line answers."""
        if path is None:
            return cls()
        try:
            if path.stat().st_size > _MAX_SCRIPT_BYTES:
                raise ScriptError(f"{path}: larger than {_MAX_SCRIPT_BYTES} bytes")
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ScriptError(f"script {str(path)!r} cannot be read: {error}") from error
        return cls(parse_script(text.splitlines(), str(path)))

    @property
    def info(self) -> EngineInfo:
        return EngineInfo(
            "scripted", "scripted", CONTEXT_LENGTH_TOKENS, "scripted", concurrent=CONCURRENT
        )

    def generate(self, request: GenerateRequest) -> Generator[Step, None, None]:
        prompt = _input_tokens(request)
        rule = self._rule(request)
        channel, text = _answer(rule)
        tokens = pieces(text)
        limit = request.max_output_tokens
        shown = tokens if limit is None else tokens[:limit]
        sim_time = rule.ttft
        for position, piece in enumerate(shown):
            sim_time = rule.ttft + position / rule.tokens_per_second
            yield Step(sim_time=sim_time, text=piece, tokens=1, channel=channel, more=True)
        if rule.error is not None:
            raise _failure(rule.error)
        usage = TokenUsage(prompt, 0, len(shown))
        reason: FinishReason = "length" if len(shown) < len(tokens) else "stop"
        yield Step(sim_time=sim_time, channel=channel, finish_reason=reason, usage=usage)

    def warm(self, request: GenerateRequest) -> Generator[Step, None, None]:
        usage = TokenUsage(_input_tokens(request), 0, 0)
        yield Step(sim_time=0.0, finish_reason="stop", usage=usage)

    def _rule(self, request: GenerateRequest) -> Rule:
        text, came = request.last_user_text, _returned(request)
        for rule in self.rules:
            if re.search(rule.match, text) and _fits(rule, came):
                return rule
        return _ANYTHING


def _returned(request: GenerateRequest) -> str | None:
    """What the newest calls returned; None when the newest item is no tool's output."""
    outputs: list[str] = []
    for item in reversed(request.items):
        if not isinstance(item, ToolOutput):
            break
        outputs.append(item.output)
    return "\n".join(reversed(outputs)) if outputs else None


def _fits(rule: Rule, came: str | None) -> bool:
    if rule.result is not None:
        return came is not None and re.search(rule.result, came) is not None
    return came is None or (rule.patch is None and rule.call is None)


def _answer(rule: Rule) -> tuple[Channel, str]:
    """Where the rule's text goes, and the text."""
    if rule.patch is not None:
        return Channel("custom_tool_call", "apply_patch"), rule.patch
    if rule.call is not None:
        arguments = rule.call.arguments
        text = arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
        return Channel("function_call", rule.call.name), text
    return Channel(), rule.reply or ""


def _failure(error: str | ScriptedError) -> EngineError:
    if isinstance(error, str):
        return EngineError(error)
    return EngineError(error.message, error.code)


def _input_tokens(request: GenerateRequest) -> int:
    """About as many tokens as a prompt has; exact where it is short. EngineError for too many.

    A conversation is counted whole in every turn, and this engine takes no time of its own.
    """
    tokens = 0
    for item in request.items:
        text = item.output if isinstance(item, ToolOutput) else _said(item)
        tokens += len(pieces(text)) if len(text) <= COUNTED else len(text) // CHARACTERS
    if tokens >= CONTEXT_LENGTH_TOKENS:
        raise EngineError(
            f"the prompt has {tokens} tokens; scripted holds {CONTEXT_LENGTH_TOKENS}",
            "context_length_exceeded",
        )
    return tokens


def _said(item: Message | ToolCall) -> str:
    return item.text if isinstance(item, Message) else item.input
