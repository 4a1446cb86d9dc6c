from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from sparkcode.model.kernels.flow import yield_address
from sparkcode.model.kernels.program import Place, Program, ProgramWriter
from sparkcode.model.kernels.team import Team
from tests.model.kernels.lines import Bench
from tests.model.kernels.scalar import needs_avx2

pytestmark = needs_avx2

FIELDS = ("next", "done", "units", "name")
Unit = Callable[[int, int], None]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.getbasetemp() / "kernels", threads=3)


class Script:
    """A program whose units call back: ``unit(name of the line, number of the unit)``."""

    def __init__(self, unit: Unit, lines: list[list[int]]) -> None:
        """``lines``: units of the lines that run at once, one list after another."""
        self._lock = threading.Lock()
        self._unit = unit
        self._callback = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64)(self._run)
        address = ctypes.cast(self._callback, ctypes.c_void_p).value or 0
        writer = ProgramWriter()
        context = writer.record(FIELDS)
        name = 0
        for units in lines:
            calls = []
            for count in units:
                calls.append((address, writer.record(FIELDS, units=count, name=name)))
                name += 1
            writer.lines_at_once(calls, context, ends=(8, 16))
        self.program: Program = writer.finish()

    def _run(self, record: int, context: int) -> None:
        fields = (ctypes.c_int64 * len(FIELDS)).from_address(record)
        while True:
            with self._lock:
                index = fields[0]
                fields[0] += 1
            if index >= fields[2]:
                return
            self._unit(fields[3], index)
            with self._lock:
                fields[1] += 1


def test_every_unit_runs_once_and_lines_follow_one_another(bench: Bench) -> None:
    seen: list[tuple[int, int]] = []

    def unit(name: int, index: int) -> None:
        seen.append((name, index))

    bench.walk(Script(unit, [[3], [2, 5, 1], [4]]).program)
    assert sorted(seen) == [
        (name, index) for name, count in enumerate([3, 2, 5, 1, 4]) for index in range(count)
    ]
    stages = [{0: 0, 4: 2}.get(name, 1) for name, _ in seen]
    assert stages == sorted(stages)


def test_the_next_line_waits_for_a_unit_that_takes_its_time(bench: Bench) -> None:
    seen: list[int] = []
    release = threading.Event()

    def unit(name: int, index: int) -> None:
        if name == 0 and index == 0:
            release.wait(0.2)  # far longer than anyone spins
        seen.append(name)

    bench.walk(Script(unit, [[2], [3]]).program)
    assert seen == [0, 0, 1, 1, 1]


@contextmanager
def busy(team: Team) -> Iterator[None]:
    """Every helper of the team is held up elsewhere."""
    held, release = threading.Barrier(team.size + 1), threading.Event()

    def hold() -> None:
        held.wait(10)
        if threading.get_ident() != blocker.ident:
            release.wait(10)

    blocker = threading.Thread(target=team.run, args=(hold,))
    blocker.start()
    held.wait(10)
    yield
    release.set()
    blocker.join()


def test_helpers_that_never_come_are_not_missed(bench: Bench) -> None:
    callers: set[int] = set()
    script = Script(lambda *_: callers.add(threading.get_ident()), [[5], [1, 1], [3]])
    with busy(bench.team):
        bench.walk(script.program)
    assert callers == {threading.get_ident()}


def test_who_comes_after_the_end_finds_nothing_to_do(bench: Bench) -> None:
    seen: list[int] = []
    program = Script(lambda name, _: seen.append(name), [[2], [1]]).program
    bench.walk(program, on=Team(1))
    before = program.words.copy()
    walk = ctypes.CFUNCTYPE(None, ctypes.c_int64)(bench.address("walk"))
    late = threading.Thread(target=partial(walk, program.address))
    late.start()
    late.join(10)
    assert seen == [0, 0, 1]
    np.testing.assert_array_equal(program.words, before)


def test_a_program_may_be_cut_short_once(bench: Bench) -> None:
    seen: list[int] = []
    program = Script(lambda name, _: seen.append(name), [[1], [1], [1]]).program
    program.renew()
    program.shorten(2)
    bench.team.run(partial(bench._walk, program.address))
    assert seen == [0, 1]
    bench.walk(program)
    assert seen == [0, 1, 0, 1, 2]


def test_fields_are_patched_where_they_are(tmp_path: Path) -> None:
    writer = ProgramWriter()
    record = writer.record(("a", "b", "c"), b=7)
    program = writer.finish()
    program.renew()
    program.patch(record.field(("a", "b", "c"), "b"), [1, 2])
    assert program.words[record // 8 :][:3].tolist() == [0, 1, 2]
    program.renew()
    assert program.words[record // 8 :][:3].tolist() == [0, 7, 0]
    assert isinstance(record, Place)


def test_the_system_can_let_others_run() -> None:
    assert yield_address() != 0
