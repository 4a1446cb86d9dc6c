from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.engine.scheduler import ALONE_TOKENS, BESIDE_TOKENS, Scheduler, Seat, share
from sparkcode.engine.speculation import MAX_ROWS
from sparkcode.errors import EngineError
from sparkcode.model.blocks import F32
from sparkcode.model.cache import KVCache
from sparkcode.model.transformer import Segment
from tests.engine.test_prefixes import CONFIG


class Recorder:
    """A model that remembers its passes; a token of 7 is one that it cannot take."""

    def __init__(self) -> None:
        self.passes: list[list[int]] = []

    def step(self, segments: Sequence[Segment]) -> list[F32]:
        if any(7 in segment.tokens for segment in segments):
            raise EngineError("no seven")
        self.passes.append([len(segment.tokens) for segment in segments])
        for segment in segments:
            segment.cache.reserve(len(segment.cache) + len(segment.tokens))
            segment.cache.commit(segment.tokens)
        counts = {"none": lambda _: 0, "last": lambda _: 1, "all": len}
        return [np.zeros((counts[s.logits](s.tokens), 8), np.float32) for s in segments]


def make(exact: bool = True) -> tuple[Recorder, Scheduler, Callable[[], Seat]]:
    model, ticks = Recorder(), itertools.count()
    scheduler = Scheduler(model, lambda: float(next(ticks)), exact=exact)
    return model, scheduler, lambda: scheduler.join(KVCache(CONFIG, 4096))


def answering(scheduler: Scheduler, seat: Seat) -> None:
    """Bring a seat to where it waits for a token."""
    seat.score([1])
    scheduler.fetch(seat)


def test_one_pass_serves_all_that_wait() -> None:
    model, scheduler, join = make()
    seats = [join() for _ in range(3)]
    for at, seat in enumerate(seats):
        seat.score([1] * (at + 1))
    served = [scheduler.fetch(seat) for seat in seats]
    assert model.passes == [[1, 2, 3]]
    assert [(each.done, len(each.rows), each.seconds) for each in served] == [
        (1, 1, 1.0),
        (2, 2, 1.0),
        (3, 3, 1.0),
    ]


def test_one_whose_result_is_not_fetched_yet_sits_out() -> None:
    model, scheduler, join = make()
    quick, slow = join(), join()
    for seat in (quick, slow):
        seat.score([1])
    scheduler.fetch(quick)
    quick.score([1])
    scheduler.fetch(quick)
    assert model.passes == [[1, 1], [1]]


def test_a_prompt_alone_goes_in_large_chunks() -> None:
    model, scheduler, join = make()
    seat = join()
    long = 2 * ALONE_TOKENS - 1
    seat.read([1] * long)
    assert [scheduler.fetch(seat).done for _ in range(2)] == [ALONE_TOKENS, ALONE_TOKENS - 1]
    assert seat.cache.tokens == [1] * long
    assert model.passes == [[ALONE_TOKENS], [ALONE_TOKENS - 1]]


def test_a_small_rest_of_a_prompt_goes_along() -> None:
    model, scheduler, join = make()
    seat = join()
    seat.read([1] * (2 * ALONE_TOKENS + 9))
    assert [scheduler.fetch(seat).done for _ in range(2)] == [ALONE_TOKENS, ALONE_TOKENS + 9]
    assert model.passes == [[ALONE_TOKENS], [ALONE_TOKENS + 9]]


def test_only_the_end_of_a_prompt_is_scored() -> None:
    _, scheduler, join = make()
    seat = join()
    seat.read([1] * (2 * ALONE_TOKENS))
    assert [len(scheduler.fetch(seat).rows) for _ in range(2)] == [0, 1]


def test_a_prompt_beside_answers_goes_in_small_chunks() -> None:
    model, scheduler, join = make()
    talker, reader = join(), join()
    answering(scheduler, talker)
    reader.read([1] * 1000)
    talker.score([1, 2])
    scheduler.fetch(talker)
    assert model.passes[-1] == [2, BESIDE_TOKENS]
    scheduler.fetch(reader)
    talker.score([1])
    scheduler.fetch(reader)
    assert model.passes[-1] == [1, BESIDE_TOKENS]


def test_a_short_prompt_is_read_while_a_long_one_is() -> None:
    model, scheduler, join = make()
    long, short = join(), join()
    long.read([1] * 3000)
    scheduler.fetch(long)
    short.read([1] * 60)
    served = scheduler.fetch(short)
    assert (served.done, len(served.rows)) == (60, 1)
    assert model.passes[-1] == [ALONE_TOKENS - 60, 60]


def test_an_error_meets_only_its_own() -> None:
    model, scheduler, join = make()
    good, bad = join(), join()
    good.score([1, 2])
    bad.score([7])
    assert scheduler.fetch(good).done == 2
    with pytest.raises(EngineError, match="no seven"):
        scheduler.fetch(bad)
    assert model.passes == [[2]]
    bad.score([3])
    assert scheduler.fetch(bad).done == 1


def test_without_exact_rows_each_has_its_own_passes_and_no_draft() -> None:
    model, scheduler, join = make(exact=False)
    one, two = join(), join()
    one.score([1])
    two.read([1] * 100)
    scheduler.fetch(one)
    scheduler.fetch(two)
    assert model.passes == [[1], [100]]
    assert scheduler.draft_room() == 0


def test_drafts_of_all_fit_one_pass() -> None:
    _, scheduler, join = make()
    assert scheduler.draft_room() == MAX_ROWS - 1
    for count in range(1, 2 * MAX_ROWS):
        answering(scheduler, join())
        assert scheduler.answering == count
        room = scheduler.draft_room()
        assert room >= 0
        assert count * (room + 1) <= max(MAX_ROWS, count)


def test_costs_are_those_of_the_shared_pass() -> None:
    _, scheduler, join = make()
    alone = scheduler.cost(4)
    for _ in range(2):
        answering(scheduler, join())
    assert scheduler.cost(2) == alone


def test_leaving_frees_the_others() -> None:
    model, scheduler, join = make()
    one, two = join(), join()
    one.score([1])
    two.score([1])
    scheduler.leave(two)
    scheduler.fetch(one)
    assert model.passes == [[1]]


@given(st.lists(st.integers(1, 400), min_size=1, max_size=12), st.integers(1, 300))
def test_shares_are_fair_and_use_the_budget(wanted: list[int], budget: int) -> None:
    parts = share(wanted, budget)
    assert all(0 <= got <= want for got, want in zip(parts, wanted, strict=True))
    assert sum(parts) == min(sum(wanted), budget)
    full = [want for got, want in zip(parts, wanted, strict=True) if got == want]
    cut = [got for got, want in zip(parts, wanted, strict=True) if got < want]
    assert not full or not cut or min(cut) >= min(max(full), budget // len(wanted))


def test_drafts_can_be_left_out() -> None:
    assert Scheduler(Recorder(), lambda: 0.0, drafts=False).draft_room() == 0
