from __future__ import annotations

import gc
import os
import threading

import pytest

from sparkcode.model.kernels.team import Team, available_threads


def test_every_thread_takes_part() -> None:
    team = Team(3)
    assert team.size == 3
    meeting = threading.Barrier(3, timeout=10)
    seen: set[int] = set()

    def work() -> None:
        meeting.wait()
        seen.add(threading.get_ident())

    team.run(work)
    assert len(seen) == 3


def test_one_thread_works_alone() -> None:
    seen: list[int] = []
    Team(1).run(lambda: seen.append(threading.get_ident()))
    assert seen == [threading.get_ident()]


def test_nobody_waits_for_a_helper_that_is_held_up() -> None:
    team = Team(2)
    held, release = threading.Event(), threading.Event()
    caller = threading.get_ident()

    def hold() -> None:
        if threading.get_ident() != caller:
            held.set()
            release.wait(10)

    blocker = threading.Thread(target=lambda: team.run(hold))
    blocker.start()
    assert held.wait(10)
    done: list[int] = []
    team.run(lambda: done.append(threading.get_ident()))
    assert done == [caller]
    release.set()
    blocker.join()
    # What was taken back is not run later.
    team.run(lambda: None)
    assert done == [caller]


def test_helpers_end_with_their_team() -> None:
    before = set(threading.enumerate())
    team = Team(4)
    helpers = set(threading.enumerate()) - before
    assert len(helpers) == 3
    del team
    gc.collect()
    for helper in helpers:
        helper.join(10)
        assert not helper.is_alive()


def test_threads_are_those_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= available_threads() <= 8
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert available_threads() == 8
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert available_threads() == 1
