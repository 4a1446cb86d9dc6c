"""Event sequences, and two machines joined by a perfect link."""

from __future__ import annotations

from typing import Any

from sparkcode.protocol.events import (
    ContentPartAdded,
    ContentPartDone,
    CustomToolCallInputDelta,
    CustomToolCallInputDone,
    CustomToolCallItem,
    FunctionCallArgumentsDelta,
    FunctionCallArgumentsDone,
    FunctionCallItem,
    MessageItem,
    OutputItemAdded,
    OutputItemDone,
    OutputText,
    OutputTextDelta,
    OutputTextDone,
    ReasoningItem,
    Response,
    ResponseCompleted,
    ResponseCreated,
    ResponseInProgress,
)
from sparkcode.protocol.machine import Event, Machine

PART = OutputText()


class Pair:
    """A client and a server machine; each event goes through both."""

    def __init__(self) -> None:
        self.client = Machine("client")
        self.server = Machine("server")

    def ask(self, *events: Event) -> None:
        for event in events:
            self.server.receive(self.client.send(event))
            self.agree()

    def answer(self, *events: Event) -> list[Any]:
        received = []
        for event in events:
            received.append(self.client.receive(self.server.send(event)))
            self.agree()
        return received

    def agree(self) -> None:
        assert picture(self.client) == picture(self.server)


def picture(machine: Machine) -> tuple[object, ...]:
    return machine.state, machine.queued, machine.response_id, machine.open_items


def phase(machine: Machine) -> str:
    return machine.state


def opened(machine: Machine) -> tuple[tuple[int, str], ...]:
    return machine.open_items


def response(name: str = "resp_1") -> Response:
    return Response(id=name)


def begun(name: str = "resp_1") -> list[Event]:
    return [ResponseCreated(response=response(name)), ResponseInProgress(response=response(name))]


def message(index: int = 0, name: str = "msg_1") -> list[Event]:
    at: dict[str, Any] = {"item_id": name, "output_index": index}
    return [
        OutputItemAdded(output_index=index, item=MessageItem(id=name)),
        ContentPartAdded(**at, part=PART),
        OutputTextDelta(**at, delta="a"),
        OutputTextDone(**at, text="a"),
        ContentPartDone(**at, part=PART),
        OutputItemDone(output_index=index, item=MessageItem(id=name)),
    ]


def call(index: int = 0, name: str = "fc_1") -> list[Event]:
    at: dict[str, Any] = {"item_id": name, "output_index": index}
    return [
        OutputItemAdded(output_index=index, item=FunctionCallItem(id=name)),
        FunctionCallArgumentsDelta(**at, delta="{}"),
        FunctionCallArgumentsDone(**at, arguments="{}"),
        OutputItemDone(output_index=index, item=FunctionCallItem(id=name)),
    ]


def custom(index: int = 0, name: str = "ctc_1") -> list[Event]:
    at: dict[str, Any] = {"item_id": name, "output_index": index}
    return [
        OutputItemAdded(output_index=index, item=CustomToolCallItem(id=name)),
        CustomToolCallInputDelta(**at, delta="x"),
        CustomToolCallInputDone(**at, input="x"),
        OutputItemDone(output_index=index, item=CustomToolCallItem(id=name)),
    ]


def reasoning(index: int = 0, name: str = "rs_1") -> list[Event]:
    item = ReasoningItem(id=name)
    return [
        OutputItemAdded(output_index=index, item=item),
        OutputItemDone(output_index=index, item=item),
    ]


def completed(name: str = "resp_1") -> Event:
    return ResponseCompleted(response=response(name))
