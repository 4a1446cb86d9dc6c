"""A gateway to a Responses server: what goes out, what comes of faults, what becomes of links."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from sparkcode.engine.base import GenerateRequest, Message, Tool, ToolCall, ToolOutput
from sparkcode.errors import EngineError
from sparkcode.server.connection import serve_connection
from sparkcode.server.narrator import Wishes
from tests.server.support import StepEngine, make_service, virtual, words
from tests.upstream.support import (
    Canned,
    MemoryDialer,
    error,
    question,
    response,
    told,
    upstream,
)

CUSTOM = Tool("apply_patch", "custom", {"type": "custom", "name": "apply_patch"})


def texts(asked: dict[str, Any]) -> list[str]:
    return [item["content"][0]["text"] for item in asked["input"]]


def failure(server: Any, request: GenerateRequest | None = None, **terms: Any) -> EngineError:
    """What a question fails with."""

    async def main() -> EngineError:
        dialer = MemoryDialer(server)
        with pytest.raises(EngineError) as raised:
            await told(upstream(dialer, **terms).generate(request or question("a")))
        return raised.value

    return virtual(main)


# --- what goes out ------------------------------------------------------------------------------


def test_a_conversation_goes_on_with_what_is_new() -> None:
    async def main() -> None:
        server = Canned([response(1, "A"), response(2, "C"), response(3, "E")])
        dialer = MemoryDialer(server)
        engine = upstream(dialer)
        assert await told(engine.generate(question("a"))) == "A"
        assert await told(engine.generate(question("a", "A", "c"))) == "C"
        first, second = server.asked
        assert texts(first) == ["a"]
        assert (texts(second), second["previous_response_id"]) == (["c"], "r1")
        assert second["store"] is False
        # Another conversation has a link of its own.
        await told(engine.generate(question("x")))
        assert texts(server.asked[2]) == ["x"]
        assert dialer.dialed == 2
        await engine.close()

    virtual(main)


def test_over_http_everything_goes_out_each_time() -> None:
    async def main() -> None:
        server = Canned([response(1, "A"), response(2, "C")])
        engine = upstream(MemoryDialer(server, kind="sse"))
        await told(engine.generate(question("a")))
        await told(engine.generate(question("a", "A", "c")))
        assert texts(server.asked[1]) == ["a", "A", "c"]
        assert "previous_response_id" not in server.asked[1]
        await engine.close()

    virtual(main)


def test_a_stateful_server_over_http_goes_on_from_its_responses() -> None:
    async def main() -> None:
        server = Canned([response(1, "A"), response(2, "C", previous_response_id="r1")])
        engine = upstream(MemoryDialer(server, kind="sse"), stores=True)
        await told(engine.generate(question("a")))
        assert await told(engine.generate(question("a", "A", "c"))) == "C"
        assert server.asked[1]["previous_response_id"] == "r1"
        assert server.asked[1]["store"] is True
        await engine.close()

    virtual(main)


def test_one_that_ignores_what_it_should_go_on_from_gets_everything() -> None:
    async def main() -> None:
        ignored = response(2, "What?")[:1]
        server = Canned([response(1, "A"), ignored, response(3, "C"), response(4, "E")])
        engine = upstream(MemoryDialer(server, kind="sse"), stores=True)
        await told(engine.generate(question("a")))
        assert await told(engine.generate(question("a", "A", "c"))) == "C"
        assert texts(server.asked[2]) == ["a", "A", "c"]
        await told(engine.generate(question("a", "A", "c", "C", "e")))
        assert texts(server.asked[3]) == ["a", "A", "c", "C", "e"]
        await engine.close()

    virtual(main)


def test_a_forgotten_response_costs_one_more_request_on_the_same_link() -> None:
    async def main() -> None:
        server = Canned(
            [response(1, "A"), [error("previous_response_not_found")], response(2, "C")]
        )
        dialer = MemoryDialer(server)
        engine = upstream(dialer)
        await told(engine.generate(question("a")))
        assert await told(engine.generate(question("a", "A", "c"))) == "C"
        assert texts(server.asked[2]) == ["a", "A", "c"]
        assert dialer.dialed == 1
        await engine.close()

    virtual(main)


def test_a_server_that_refuses_custom_tools_is_asked_with_functions_from_then_on() -> None:
    async def main() -> None:
        refusal = error("invalid_value", "Invalid tool type: 'custom'")
        server = Canned([[refusal], response(1, "A"), response(2, "B")])
        dialer = MemoryDialer(server)
        engine = upstream(dialer)
        request = question("a", tools=(CUSTOM,))
        assert await told(engine.generate(request)) == "A"
        await told(engine.generate(question("b", tools=(CUSTOM,))))
        kinds = [asked["tools"][0]["type"] for asked in server.asked]
        assert kinds == ["custom", "function", "function"]
        await engine.close()

    virtual(main)


def test_over_http_tools_are_functions_unless_the_server_is_of_our_kind() -> None:
    async def kind(**fields: Any) -> str:
        server = Canned([response(1, "A")])
        terms = {"free_form": fields.pop("free_form", None)}
        engine = upstream(MemoryDialer(server, kind="sse", **fields), **terms)
        await told(engine.generate(question("a", tools=(CUSTOM,))))
        await engine.close()
        found: str = server.asked[0]["tools"][0]["type"]
        return found

    async def main() -> None:
        assert await kind() == "function"
        assert await kind(engine="spark") == "custom"
        assert await kind(free_form=True) == "custom"
        assert await kind(engine="spark", free_form=False) == "function"

    virtual(main)


def test_calls_keep_the_ids_that_the_server_knows_them_by() -> None:
    async def main() -> None:
        call = {"type": "custom_tool_call", "call_id": "c9", "name": "apply_patch", "input": "P"}
        first = response(1, "")
        first[1]["item"] = call
        server = Canned([first, response(2, "Done.")])
        engine = upstream(MemoryDialer(server))
        asked = question("a", tools=(CUSTOM,))
        steps = [step async for step in engine.generate(asked)]
        assert steps[0].channel.call_id == "c9"
        items = (*asked.items, ToolCall("c9", "apply_patch", "P"), ToolOutput("c9", "Success"))
        await told(engine.generate(GenerateRequest(items, (CUSTOM,))))
        assert server.asked[1]["input"] == [
            {"type": "custom_tool_call_output", "call_id": "c9", "output": "Success"}
        ]
        await engine.close()

    virtual(main)


def test_a_warm_up_opens_the_link_and_prepares_the_server() -> None:
    async def main() -> None:
        engine = StepEngine(words("hello"))
        service = make_service(engine, "max")
        dialer = MemoryDialer(lambda end: serve_connection(service, end, Wishes()), engine="spark")
        gateway = upstream(dialer, model="spark")
        assert await told(gateway.warm(question("a"))) == ""
        assert len(engine.warmed) == 1
        assert await told(gateway.generate(question("a"))) == "hello "
        assert dialer.dialed == 1
        assert engine.requests[0].items == (Message("user", "a"),)
        await gateway.close()

    virtual(main)


def test_who_answers_is_known_once_a_link_is_open() -> None:
    async def main() -> None:
        dialer = MemoryDialer(Canned([]), engine="spark", profile="wse3/x")
        engine = upstream(dialer)
        assert not engine.info.simulates
        await engine.meet()
        info = engine.info
        assert (info.engine, info.behind, info.profile) == ("upstream", "spark", "wse3/x")
        assert info.simulates
        await engine.close()

    virtual(main)


# --- faults -------------------------------------------------------------------------------------


def test_nothing_answers() -> None:
    async def main() -> None:
        dialer = MemoryDialer(Canned([]), down=True)
        with pytest.raises(EngineError, match="refused") as raised:
            await told(upstream(dialer).generate(question("a")))
        assert raised.value.code == "upstream_unreachable"

    virtual(main)


def test_silence_ends_after_its_time() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        engine = upstream(MemoryDialer(Canned([[*response(1, "A")[:1], ...]])), silence=30.0)
        with pytest.raises(EngineError) as raised:
            await told(engine.generate(question("a")))
        assert raised.value.code == "upstream_timeout"
        await engine.close()
        return loop.time() - begun

    assert virtual(main) == pytest.approx(30.0, abs=0.1)


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (response(1, "A")[:2], "upstream_error"),
        ([error("invalid_value")], "invalid_value"),
        ([error("x", status=429)], "rate_limit_exceeded"),
        ([error("x", "sk-secret is wrong", status=401)], "upstream_unauthorized"),
        ([error("context_length_exceeded")], "context_length_exceeded"),
        ([error("previous_response_not_found")], "previous_response_not_found"),
        (["[1"], "upstream_error"),
        (['{"no":"type"}'], "upstream_error"),
    ],
)
def test_faults_are_errors_of_the_protocol(frames: list[Any], code: str) -> None:
    async def once(end: Any) -> None:
        async for _ in end.frames():
            for frame in frames:
                await end.send(frame if isinstance(frame, str) else json.dumps(frame))
            return

    assert failure(once).code == code


def test_an_error_frame_without_a_status_is_an_error_too() -> None:
    found = failure(Canned([[error("odd", "It broke.", status=None)]]))
    assert (found.code, "It broke." in str(found)) == ("odd", True)


def test_the_key_is_in_no_message() -> None:
    told_of = failure(Canned([[error("x", "bad header: Bearer sk-1")]]), key="sk-1")
    assert "sk-1" not in str(told_of)


def test_a_link_that_died_while_it_was_idle_is_replaced() -> None:
    async def main() -> None:
        server = Canned([response(1, "A"), response(2, "C")])
        dialer = MemoryDialer(server)
        engine = upstream(dialer)
        await told(engine.generate(question("a")))
        await dialer.ends[0].close()
        assert await told(engine.generate(question("a", "A", "c"))) == "C"
        assert dialer.dialed == 2
        assert texts(server.asked[1]) == ["a", "A", "c"]
        await engine.close()

    virtual(main)


def test_a_link_that_dies_at_once_each_time_is_given_up() -> None:
    async def closing(end: Any) -> None:
        async for _ in end.frames():
            return

    assert failure(closing).code == "upstream_error"


def test_the_servers_own_limit_on_a_connections_age_is_no_fault() -> None:
    async def main() -> None:
        limit = error("websocket_connection_limit_reached")
        server = Canned([response(1, "A"), [limit], response(2, "C")])
        dialer = MemoryDialer(server)
        engine = upstream(dialer)
        await told(engine.generate(question("a")))
        assert await told(engine.generate(question("a", "A", "c"))) == "C"
        assert dialer.dialed == 2
        await engine.close()

    virtual(main)


def test_a_failed_answer_leaves_the_link_usable() -> None:
    async def main() -> None:
        failed = {"type": "response.failed", "response": {"id": "r", "status": "failed"}}
        server = Canned([[failed], response(1, "A")])
        dialer = MemoryDialer(server)
        engine = upstream(dialer)
        with pytest.raises(EngineError):
            await told(engine.generate(question("a")))
        assert await told(engine.generate(question("a"))) == "A"
        assert dialer.dialed == 1
        await engine.close()

    virtual(main)
