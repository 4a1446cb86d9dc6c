from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.engine.base import (
    Channel,
    Engine,
    GenerateRequest,
    Message,
    Step,
    ToolCall,
    ToolOutput,
)
from sparkcode.engine.scripted import (
    CONTEXT_LENGTH_TOKENS,
    ScriptedEngine,
    parse_script,
    pieces,
)
from sparkcode.errors import EngineError, ScriptError


def engine(*rules: dict[str, Any]) -> ScriptedEngine:
    return ScriptedEngine(parse_script([json.dumps(rule) for rule in rules], "demo"))


def ask(text: str, **fields: Any) -> GenerateRequest:
    return GenerateRequest((Message("system", "Be brief."), Message("user", text)), **fields)


def answer(steps: list[Step]) -> str:
    return "".join(step.text for step in steps)


@given(st.text())
def test_pieces_lose_nothing(text: str) -> None:
    assert "".join(pieces(text)) == text


def test_the_first_match_wins() -> None:
    scripted = engine({"match": "red", "reply": "apple"}, {"match": "", "reply": "pear"})
    assert answer(list(scripted.generate(ask("something red")))) == "apple"
    assert answer(list(scripted.generate(ask("something blue")))) == "pear"


def test_a_built_in_last_line_answers_anything() -> None:
    steps = list(ScriptedEngine().generate(ask("anything")))
    assert "scripted engine" in answer(steps)
    assert steps[-1].finish_reason == "stop"


def test_timing_is_the_scripts_own() -> None:
    scripted = engine({"reply": "one two three", "ttft": 0.25, "tokens_per_second": 100})
    *steps, last = scripted.generate(ask(""))
    assert [step.sim_time for step in steps] == pytest.approx([0.25, 0.26, 0.27])
    assert last.sim_time == steps[-1].sim_time
    assert last.usage is not None
    assert last.usage.output_tokens == 3


def test_patches_and_calls_use_their_own_channels() -> None:
    scripted = engine(
        {"match": "edit", "patch": "*** Begin Patch\n*** End Patch\n"},
        {"match": "call", "call": {"name": "f", "arguments": {"x": 1}}},
        {"match": "raw", "call": {"name": "g", "arguments": "{}"}},
    )
    edit = list(scripted.generate(ask("edit")))
    assert {step.channel for step in edit} == {Channel("custom_tool_call", "apply_patch")}
    call = list(scripted.generate(ask("call")))
    assert call[0].channel == Channel("function_call", "f")
    assert json.loads(answer(call)) == {"x": 1}
    assert answer(list(scripted.generate(ask("raw")))) == "{}"


def after(*outputs: str, said: str = "tidy up") -> GenerateRequest:
    """A question whose calls have returned ``outputs``."""
    called = [
        (ToolCall(str(at), "f", ""), ToolOutput(str(at), out)) for at, out in enumerate(outputs)
    ]
    calls = tuple(call for call, _ in called)
    return GenerateRequest((Message("user", said), *calls, *(out for _, out in called)))


def test_what_a_tool_returns_leads_on() -> None:
    scripted = engine(
        {"match": "tidy", "call": {"name": "search", "arguments": {}}},
        {"match": "tidy", "result": "a.py:3", "patch": "*** Begin Patch\n*** End Patch\n"},
        {"match": "tidy", "result": "Success", "reply": "Done."},
        {"match": "only once", "patch": "*** Begin Patch\n*** End Patch\n"},
        {"reply": "Nothing to do."},
    )

    def kind(request: GenerateRequest) -> tuple[str, str]:
        steps = list(scripted.generate(request))
        return steps[0].channel.kind, answer(steps)

    assert kind(ask("tidy up")) == ("function_call", "{}")
    assert kind(after("one", "a.py:3: TODO"))[0] == "custom_tool_call"
    assert kind(after("Success.")) == ("message", "Done.")
    assert kind(after("no matches")) == ("message", "Nothing to do.")
    assert kind(after("Success.", said="only once")) == ("message", "Nothing to do.")
    again = GenerateRequest((*after("x").items, Message("user", "tidy")))
    assert kind(again)[0] == "function_call"


def test_a_limit_ends_the_answer_with_length() -> None:
    steps = list(engine({"reply": "a b c d"}).generate(ask("", max_output_tokens=2)))
    assert answer(steps) == "a b"
    assert steps[-1].finish_reason == "length"


@pytest.mark.parametrize(
    ("error", "code"),
    [("no", "server_error"), ({"message": "no", "code": "invalid_prompt"}, "invalid_prompt")],
)
def test_an_error_fails_the_turn_after_its_text(error: Any, code: str) -> None:
    steps = engine({"reply": "I will", "error": error}).generate(ask(""))
    seen = [next(steps).text, next(steps).text]
    with pytest.raises(EngineError, match="no") as caught:
        next(steps)
    assert "".join(seen) == "I will"
    assert caught.value.code == code


def test_warm_up_counts_the_prompt_and_says_nothing() -> None:
    items = (Message("user", "hi there"), ToolCall("1", "f", "x y"), ToolOutput("1", "done"))
    (step,) = ScriptedEngine().warm(GenerateRequest(items))
    assert step.text == ""
    assert step.usage is not None
    assert step.usage.input_tokens == 5


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "no line of a script"),
        ('{"match": 3, "reply": ""}', "no line of a script"),
        ('{"reply": "", "speed": 3}', "speed"),
        ('{"match": "(", "reply": ""}', "regular expression"),
        ('{"match": "x"}', "needs one of"),
        ('{"result": "(", "reply": ""}', "'result' is no regular expression"),
        ('{"call": {"name": "f", "arguments": ' + "[" * 100_000, "no line of a script"),
        ('{"reply": "\ud800"}', "no line of a script"),
        ('{"match": "' + "(" * 10_000 + ")" * 10_000 + '", "reply": ""}', "regular expression"),
        ('{"match": "a{99999999999999}", "reply": ""}', "regular expression"),
        ('{"reply": "", "tokens_per_second": 0}', "tokens_per_second"),
    ],
)
def test_a_bad_line_names_itself(line: str, reason: str) -> None:
    with pytest.raises(ScriptError, match=r"demo:2: .*" + reason):
        parse_script(["", line], "demo")


def test_files(tmp_path: Path) -> None:
    good = tmp_path / "good.jsonl"
    good.write_text('{"reply": "yes"}\n')
    scripted: Engine = ScriptedEngine.from_file(good)
    assert answer(list(scripted.generate(ask("")))) == "yes"
    assert scripted.info.model == "scripted"
    assert ScriptedEngine.from_file(None).rules == ()
    with pytest.raises(ScriptError, match="cannot be read"):
        ScriptedEngine.from_file(tmp_path / "absent.jsonl")
    huge = tmp_path / "huge.jsonl"
    with huge.open("wb") as file:
        file.truncate(17 * 1024 * 1024)
    with pytest.raises(ScriptError, match="larger than"):
        ScriptedEngine.from_file(huge)


def test_a_request_without_a_user_has_no_user_text() -> None:
    assert GenerateRequest((ToolOutput("1", "x"), Message("system", "s"))).last_user_text == ""
    assert GenerateRequest(()).last_user_text == ""


@pytest.mark.parametrize("ask", [ScriptedEngine().generate, ScriptedEngine().warm])
def test_a_prompt_that_is_too_long_is_refused_as_any_engine_would(ask: Any) -> None:
    request = GenerateRequest((Message("user", "word " * CONTEXT_LENGTH_TOKENS),))
    with pytest.raises(EngineError, match="tokens") as raised:
        list(ask(request))
    assert raised.value.code == "context_length_exceeded"
