"""When a turn may send only the new items."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.link.chain import (
    COMPARED,
    Anchor,
    Chain,
    continuation,
    empty_warm_up,
    input_items,
    output_items,
)
from sparkcode.protocol.events import (
    IncompleteDetails,
    MessageItem,
    OutputText,
    Response,
    ResponseCompleted,
    ResponseCreate,
)


def user(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def answered(response_id: str = "resp_1", text: str = "hello", **fields: Any) -> Response:
    item = MessageItem(id="msg_1", status="completed", content=[OutputText(text=text)])
    return Response(**{"id": response_id, "status": "completed", "output": [item], **fields})


def request(*items: dict[str, Any], **fields: Any) -> ResponseCreate:
    return ResponseCreate(**{"model": "m", "instructions": "be brief", **fields}, input=list(items))


def second_turn(response: Response, *more: dict[str, Any]) -> ResponseCreate:
    return request(user("one"), *output_items(response), *more)


def test_the_second_turn_sends_only_what_is_new() -> None:
    chain = Chain()
    first = request(user("one"))
    assert chain.request(first) is first
    response = answered()
    chain.completed(response)
    sent = chain.request(second_turn(response, user("two")))
    assert sent.previous_response_id == "resp_1"
    assert sent.input == [user("two")]
    assert (sent.model, sent.instructions) == ("m", "be brief")


def test_a_chain_goes_on_over_many_turns() -> None:
    chain = Chain()
    items: list[dict[str, Any]] = []
    for number in range(5):
        items.append(user(str(number)))
        sent = chain.request(request(*items))
        assert sent.input == (items if number == 0 else [items[-1]])
        response = answered(f"resp_{number}", str(number))
        items += output_items(response)
        chain.completed(response)


def test_history_rebuilt_without_ids_is_the_same_history() -> None:
    chain = Chain()
    chain.request(request(user("one")))
    chain.completed(answered())
    bare = {"type": "message", "role": "assistant"}
    bare_item = {**bare, "content": [{"type": "output_text", "text": "hello"}]}
    sent = chain.request(request(user("one"), bare_item, user("two")))
    assert sent.input == [user("two")]


def test_items_of_output_item_done_take_precedence_over_the_response() -> None:
    chain = Chain()
    chain.request(request(user("one")))
    unknown = {"type": "web_search_call", "id": "ws_1", "query": "x"}
    chain.completed(answered(output=[]), [unknown])
    sent = chain.request(request(user("one"), unknown, user("two")))
    assert sent.input == [user("two")]


@pytest.mark.parametrize("name", COMPARED)
def test_a_changed_setting_sends_everything(name: str) -> None:
    chain = Chain()
    chain.request(request(user("one")))
    response = answered()
    chain.completed(response)
    full = msgspec.structs.replace(second_turn(response, user("two")), **{name: ["other"]})
    assert chain.request(full) is full


@pytest.mark.parametrize("field", [{"client_metadata": {"a": 1}}, {"max_output_tokens": 7}])
def test_other_settings_may_change(field: dict[str, Any]) -> None:
    chain = Chain()
    chain.request(request(user("one")))
    response = answered()
    chain.completed(response)
    sent = chain.request(msgspec.structs.replace(second_turn(response, user("two")), **field))
    assert sent.previous_response_id == "resp_1"


def test_an_edited_history_sends_everything() -> None:
    chain = Chain()
    chain.request(request(user("one")))
    chain.completed(answered(text="hello"))
    full = second_turn(answered(text="HELLO"), user("two"))
    assert chain.request(full) is full


def test_a_new_connection_sends_everything() -> None:
    chain = Chain()
    chain.request(request(user("one")))
    response = answered()
    chain.completed(response)
    chain.reset()
    full = second_turn(response, user("two"))
    assert chain.request(full) is full


@pytest.mark.parametrize("how", ["constructor", "reset"])
def test_a_peer_without_state_always_gets_everything(how: str) -> None:
    chain = Chain(incremental=how == "reset")
    chain.reset(incremental=False)
    chain.request(request(user("one")))
    response = answered()
    chain.completed(response)
    full = second_turn(response, user("two"))
    assert chain.request(full) is full


@pytest.mark.parametrize(
    ("fields", "goes_on"),
    [
        (
            {"status": "incomplete", "incomplete_details": IncompleteDetails(reason="interrupted")},
            1,
        ),
        ({"status": "incomplete", "incomplete_details": IncompleteDetails()}, 0),
        ({"status": "incomplete"}, 0),
        ({"status": "failed"}, 0),
        ({"response_id": ""}, 0),
    ],
)
def test_only_a_finished_or_interrupted_response_can_be_continued(
    fields: dict[str, Any], goes_on: bool
) -> None:
    chain = Chain()
    chain.request(request(user("one")))
    response = answered(**fields)
    chain.completed(response)
    sent = chain.request(second_turn(response, user("two")))
    assert (sent.previous_response_id is not None) == goes_on


def test_a_turn_that_failed_breaks_the_chain() -> None:
    chain = Chain()
    chain.request(request(user("one")))
    response = answered()
    chain.completed(response)
    full = second_turn(response, user("two"))
    assert chain.request(full) is not full
    assert chain.request(full) is full


def test_a_response_nobody_asked_for_is_no_start_of_a_chain() -> None:
    chain = Chain()
    chain.completed(answered())
    full = second_turn(answered(), user("two"))
    assert chain.request(full) is full


def test_a_warm_up_with_the_whole_input_leaves_nothing_to_send() -> None:
    chain = Chain()
    chain.request(request(user("one"), generate=False))
    chain.completed(Response(id="resp_w", status="completed"))
    sent = chain.request(request(user("one")))
    assert (sent.input, sent.previous_response_id) == ([], "resp_w")


def test_the_same_turn_again_sends_everything() -> None:
    chain = Chain()
    chain.request(request(user("one")))
    chain.completed(Response(id="resp_1", status="completed"))
    full = request(user("one"))
    assert chain.request(full) is full


def test_an_empty_warm_up_completes_and_cannot_be_continued() -> None:
    created, completed = empty_warm_up("m")
    assert isinstance(completed, ResponseCompleted)
    assert completed.response.status == "completed"
    assert completed.response.model == "m"
    chain = Chain()
    chain.request(request(generate=False))
    chain.completed(completed.response)
    full = request(user("one"))
    assert chain.request(full) is full
    assert created != completed


def test_a_request_that_names_its_own_predecessor_is_left_alone() -> None:
    link = Anchor(request(user("one")), "resp_1", ())
    full = request(user("one"), user("two"), previous_response_id="resp_0")
    assert continuation(link, full) is full


def test_a_text_is_one_user_message() -> None:
    assert input_items(ResponseCreate(input="hi")) == [
        {"type": "message", "role": "user", "content": "hi"}
    ]
    assert input_items(ResponseCreate()) == []


items = st.lists(
    st.builds(
        lambda role, text: {"type": "message", "role": role, "content": text},
        st.sampled_from(["user", "assistant"]),
        st.sampled_from(["a", "b", ""]),
    ),
    max_size=4,
)


@given(previous=items, output=items, full=items, extends=st.booleans())
def test_cut_input_after_known_items_is_the_full_input(
    previous: list[dict[str, Any]],
    output: list[dict[str, Any]],
    full: list[dict[str, Any]],
    extends: bool,
) -> None:
    """What the server then holds is the full input, whether or not it was cut."""
    known = previous + output
    whole = known + full if extends else full
    link = Anchor(request(*previous), "resp_1", tuple(output))
    sent = continuation(link, request(*whole))
    assert isinstance(sent.input, list)
    held = known + sent.input if sent.previous_response_id else sent.input
    assert held == whole
    assert not (extends and full) or sent.previous_response_id == "resp_1"
