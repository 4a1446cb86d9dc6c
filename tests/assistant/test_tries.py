"""Answers are checked, and others are asked for while there are faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sparkcode.assistant.edit import Plan
from sparkcode.assistant.session import Session
from sparkcode.assistant.tries import TRY_SECONDS, Tries
from sparkcode.assistant.workspace import Workspace
from sparkcode.checks.fault import Fault
from sparkcode.clock import LoopClock
from sparkcode.errors import WorkspaceError
from sparkcode.link.transport import Dialer
from sparkcode.protocol.events import ResponseCreate
from sparkcode.protocol.variants import Variant, variant_of, varied
from tests.assistant.answering import Answering, Reply, asked, edit
from tests.assistant.rig import TARGET, until
from tests.assistant.server import Json, virtually


class Faulty:
    """A judge that finds in an edit the words after ``fault:``."""

    async def judge(self, plan: Plan, instruction: str) -> tuple[Fault, ...]:
        text = (plan.after["calc.py"] or b"").decode()
        found = [line.partition("# fault: ")[2] for line in text.split("\n")]
        return tuple(Fault("lint", each) for words in found if words for each in words.split(", "))


@dataclass(frozen=True)
class Scene:
    session: Session
    engine: Answering


@asynccontextmanager
async def asking(
    folder: Path,
    reply: Callable[[Json], Reply | None],
    *,
    limit: int = 4,
    larger: Dialer | None = None,
) -> AsyncIterator[Scene]:
    engine = Answering(reply)
    session = Session(
        dialer=engine,
        clock=LoopClock(),
        workspace=Workspace(folder),
        tries=Tries(limit, engine, Faulty(), lambda peer: larger),
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(session.run())
        try:
            session.submit("Add", TARGET)
            yield Scene(session, engine)
        finally:
            await session.close()


def in_turn(*answers: Reply | None) -> Callable[[Json], Reply | None]:
    rest = list(answers)
    return lambda request: rest.pop(0) if rest else None


def written(folder: Path) -> str:
    return (folder / "calc.py").read_text().split("\n")[1].strip()


GOOD = ("", edit("return a + b"))
BAD = ("", edit("return a * b  # fault: wrong"))
WORSE = ("", edit("return a / b  # fault: wrong, bad"))
NOTHING = ("No change.", "")


def test_a_right_answer_is_asked_for_once(folder: Path) -> None:
    async def work() -> None:
        async with asking(folder, in_turn(GOOD)) as scene:
            await scene.session.wait_turn()
            assert len(scene.engine.requests) == 1
            (only,) = scene.session.improving.shown
            assert (only.number, only.faults, only.chosen) == (1, (), True)
            assert scene.session.improving.faults == ()

    virtually(work)


def test_faults_are_asked_about_and_the_better_answer_is_offered(folder: Path) -> None:
    async def work() -> None:
        async with asking(folder, in_turn(BAD, WORSE, GOOD, BAD)) as scene:
            session = scene.session
            await session.wait_turn()
            assert session.edit == "pending"
            session.accept()
            assert written(folder) == "return a + b"
            shown = session.improving.shown
            assert [one.chosen for one in shown] == [False, False, True]
            assert [len(one.faults) for one in shown] == [1, 2, 0]
            assert session.turn is not None
            assert session.turn.patch == GOOD[1]
            assert (session.turn.number, session.turn.target) == (1, "calc.py:1-2")

    virtually(work)


def test_each_try_is_asked_for_in_another_way(folder: Path) -> None:
    async def work() -> None:
        async with asking(folder, lambda request: BAD, limit=7) as scene:
            await scene.session.wait_turn()
            first, *others = scene.engine.requests
            assert asked(first) == "Add"
            assert "metadata" not in first
            assert len(others) == 6
            assert {asked(each) for each in others} == {
                "Add (Take care: wrong.)",
                "Add\nAn earlier answer was wrong: wrong.",
                "Add",
            }
            seeds = [each["metadata"]["sparkcode_seed"] for each in others]
            assert sorted(seeds) == list("012345")
            greedy = [each for each in others if each["temperature"] == 0]
            assert len(greedy) == 1
            assert all("previous_response_id" not in each for each in others)

    virtually(work)


def test_the_first_answer_stays_when_none_is_better(folder: Path) -> None:
    async def work() -> None:
        async with asking(folder, in_turn(BAD, WORSE, NOTHING, BAD)) as scene:
            session = scene.session
            await session.wait_turn()
            assert [one.chosen for one in session.improving.shown] == [True, False, False, False]
            session.accept()
            assert written(folder).startswith("return a * b")

    virtually(work)


def test_of_equal_answers_the_one_that_came_most_often(folder: Path) -> None:
    async def work() -> None:
        other = ("", edit("return b + a  # fault: odd"))
        twice = ("", edit("return a + b  # fault: odd"))
        async with asking(folder, in_turn(WORSE, other, twice, twice)) as scene:
            await scene.session.wait_turn()
            scene.session.accept()
            assert written(folder).startswith("return a + b")

    virtually(work)


def test_an_answer_without_an_edit_is_tried_again(folder: Path) -> None:
    async def work() -> None:
        misfit = ("", edit("x").replace("-    return a - b", "-    nowhere"))
        async with asking(folder, in_turn(NOTHING, misfit, GOOD)) as scene:
            session = scene.session
            await until(lambda: len(session.improving.shown) == 1, session)
            assert session.improving.shown[0].faults[0].kind == "unchanged"
            await until(lambda: not session.busy or len(scene.engine.requests) == 4, session)
            session.interrupt()

        async with asking(folder, in_turn(NOTHING, misfit, GOOD, NOTHING)) as scene:
            await scene.session.wait_turn()
            assert scene.session.edit == "pending"
            assert scene.session.improving.shown[1].faults[0].kind == "none"

    virtually(work)


def test_one_try_only_checks(folder: Path) -> None:
    async def work() -> None:
        async with asking(folder, in_turn(BAD), limit=1) as scene:
            await scene.session.wait_turn()
            assert len(scene.engine.requests) == 1
            assert scene.session.improving.faults == (Fault("lint", "wrong"),)

    virtually(work)


def test_a_larger_model_is_asked_last(folder: Path) -> None:
    async def work() -> None:
        larger = Answering(lambda request: GOOD, "large")
        async with asking(folder, lambda request: BAD, larger=larger) as scene:
            await scene.session.wait_turn()
            assert len(scene.engine.requests) == 4
            (request,) = larger.requests
            assert asked(request) == "Add"
            last = scene.session.improving.shown[-1]
            assert (last.number, last.chosen) == (5, True)

    virtually(work)


def test_a_larger_model_is_not_asked_without_need(folder: Path) -> None:
    async def work() -> None:
        larger = Answering(lambda request: GOOD, "large")
        async with asking(folder, in_turn(BAD, GOOD, BAD, BAD), larger=larger) as scene:
            await scene.session.wait_turn()
            assert larger.dials == 0

    virtually(work)


def test_an_engine_that_takes_no_further_link_costs_nothing(folder: Path) -> None:
    async def work() -> None:
        def reply(request: Json) -> Reply:
            scene_engine.refused = True
            return BAD

        async with asking(folder, reply) as scene:
            scene_engine = scene.engine
            await scene.session.wait_turn()
            faults = [one.faults[0].message for one in scene.session.improving.shown]
            assert faults == ["wrong", *3 * ["no engine answers at memory (refused)"]]
            assert scene.session.edit == "pending"

    virtually(work)


def test_a_try_that_never_comes_is_given_up(folder: Path) -> None:
    async def work() -> None:
        async with asking(folder, in_turn(BAD, None, GOOD, None)) as scene:
            await scene.session.wait_turn()
            assert LoopClock().now() >= TRY_SECONDS
            assert scene.session.improving.faults == ()

    virtually(work)


@pytest.mark.parametrize("way", ["accept", "reject", "interrupt", "submit", "close"])
def test_the_user_need_not_wait_for_a_better_answer(folder: Path, way: str) -> None:
    async def work() -> None:
        async with asking(folder, in_turn(BAD, None, None, None, GOOD)) as scene:
            session = scene.session
            await until(lambda: len(session.improving.shown) == 1, session)
            await asyncio.sleep(1)
            assert len(scene.engine.requests) == 4
            assert (session.busy, session.edit) == (True, "pending")
            if way == "accept":
                session.accept()
                assert written(folder).startswith("return a * b")
            elif way == "reject":
                session.reject()
            elif way == "interrupt":
                assert session.interrupt()
                assert session.edit == "pending"
            elif way == "submit":
                session.submit("Add", TARGET)
                assert session.improving.shown == ()
                assert (await session.wait_turn()).number == 2
            else:
                await session.close()
            assert not session.busy
            assert not session.improving.active

    virtually(work)


def test_a_check_that_cannot_be_made_is_said(folder: Path) -> None:
    class Broken:
        async def judge(self, plan: Plan, instruction: str) -> tuple[Fault, ...]:
            raise WorkspaceError("too large to copy")

    async def work() -> None:
        engine = Answering(lambda request: GOOD)
        session = Session(
            dialer=engine,
            clock=LoopClock(),
            workspace=Workspace(folder),
            tries=Tries(4, engine, Broken()),
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(session.run())
            session.submit("Add", TARGET)
            await session.wait_turn()
            assert session.improving.error == "too large to copy"
            assert session.improving.faults is None
            assert session.edit == "pending"
            await session.close()

    virtually(work)


def test_the_next_question_tells_of_the_answer_that_was_taken(folder: Path) -> None:
    async def work() -> None:
        async with asking(folder, in_turn(BAD, GOOD, BAD, BAD, GOOD)) as scene:
            await scene.session.wait_turn()
            scene.session.accept()
            scene.session.submit("And then?")
            await scene.session.wait_turn()
            last = scene.engine.requests[-1]
            assert "previous_response_id" not in last
            calls = [item["input"] for item in last["input"] if item["type"] == "custom_tool_call"]
            assert calls == [GOOD[1]]

    virtually(work)


def test_a_question_is_not_checked(folder: Path) -> None:
    async def work() -> None:
        async with asking(folder, in_turn(GOOD, ("It adds.", ""))) as scene:
            await scene.session.wait_turn()
            scene.session.submit("What is it?")
            await scene.session.wait_turn()
            assert scene.session.improving.shown == ()

    virtually(work)


def test_a_variant_travels_in_the_metadata() -> None:
    plain = ResponseCreate(model="m")
    assert variant_of(plain) == Variant()
    request = varied(plain, Variant("other", 3))
    assert request.metadata == {"sparkcode_seed": "3", "sparkcode_prompt": "other"}
    assert variant_of(request) == Variant("other", 3)
    odd = ResponseCreate(metadata={"sparkcode_seed": "-1", "sparkcode_prompt": ["rich"], "a": "b"})
    assert variant_of(odd) == Variant()
