from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sparkcode.engine.draft import MAX_DRAFT, Draft, Drafter, DraftLength

TOKENS = st.lists(st.integers(0, 5), max_size=30)
ORIGINAL = list(range(10, 30))


def flat(rows: int) -> float:
    """Rows that cost nothing after the first, nearly."""
    return 1 + rows / 1000


def test_the_original_is_proposed_from_its_start() -> None:
    assert Drafter([], ORIGINAL).propose(4) == Draft((10, 11, 12, 13), "resynced")


def test_the_pointer_moves_along_with_the_output() -> None:
    drafter = Drafter([], ORIGINAL)
    drafter.accept([10, 11, 12, 13])
    assert drafter.propose(3) == Draft((14, 15, 16), "aligned")
    drafter.accept(range(14, 28))
    assert drafter.propose(9).tokens == (28, 29)
    drafter.accept([28, 29])
    assert drafter.propose(9) == Draft()


def test_after_a_replaced_token_the_next_one_finds_the_place_again() -> None:
    drafter = Drafter([], ORIGINAL)
    drafter.accept([10, 11, 99])
    assert drafter.propose(3) == Draft()
    drafter.accept([13])
    assert drafter.propose(3) == Draft((14, 15, 16), "resynced")


def test_lines_that_were_dropped_are_skipped() -> None:
    drafter = Drafter([], ORIGINAL)
    drafter.accept([10, 11, 20, 21])
    assert drafter.propose(2).tokens == (22, 23)


def test_the_nearest_place_ahead_comes_first() -> None:
    original = [1, 2, 3, 50, 1, 2, 4, 51, 1, 2, 5]
    drafter = Drafter([], original)
    drafter.accept([1, 2, 3, 99, 1, 2])
    assert drafter.propose(2).tokens == (4, 51)


def test_a_longer_run_behind_beats_nothing_ahead() -> None:
    drafter = Drafter([], [1, 2, 3, 4, 5, 6])
    drafter.accept([1, 2, 3, 4, 5, 6, 2, 3])
    assert drafter.propose(2).tokens == (4, 5)


def test_a_single_token_far_ahead_says_nothing() -> None:
    drafter = Drafter([], [*range(100, 200), 7, 8])
    drafter.accept([99, 7])
    assert drafter.propose(2) == Draft()


def test_the_prompt_is_proposed_where_the_last_tokens_stood_before() -> None:
    drafter = Drafter([1, 2, 3, 4, 5, 9, 2, 3])
    assert drafter.propose(2) == Draft((4, 5), "ngram")
    drafter.accept([4, 7, 2, 3])
    assert drafter.propose(1) == Draft((4,), "ngram")


def test_the_output_is_proposed_too() -> None:
    drafter = Drafter([])
    drafter.accept([1, 2, 3, 1, 2])
    assert drafter.propose(5).tokens == (3, 1, 2)


@given(TOKENS, TOKENS, st.lists(TOKENS, max_size=6), st.integers(-1, 20))
def test_proposals_are_bounded_and_were_seen_before(
    prompt: list[int], original: list[int], pieces: list[list[int]], limit: int
) -> None:
    drafter, again = Drafter(prompt, original), Drafter(prompt, original)
    said = list(prompt)
    for piece in pieces:
        drafter.accept(piece)
        again.accept(piece)
        said += piece
        draft = drafter.propose(limit)
        assert draft == again.propose(limit)
        assert len(draft.tokens) <= max(0, limit)
        assert (draft.source == "none") == (not draft.tokens)
        spelled = ",".join(map(str, draft.tokens))
        source = said if draft.source == "ngram" else original
        assert spelled in ",".join(map(str, source))


@given(st.lists(st.integers(0, 40), min_size=1, max_size=60))
def test_a_verbatim_copy_is_right_at_every_token(original: list[int]) -> None:
    drafter = Drafter([], original)
    for at, token in enumerate(original):
        assert drafter.propose(3).tokens == tuple(original[at : at + 3])
        drafter.accept([token])


def test_long_drafts_while_they_are_right_none_once_they_are_not() -> None:
    length = DraftLength()
    draft = Draft((1, 2, 3, 4), "aligned")
    for _ in range(20):
        length.observe(draft, 4)
    assert length.choose("aligned", MAX_DRAFT, flat) == MAX_DRAFT
    for _ in range(200):
        length.observe(draft, 0)
    assert length.choose("aligned", MAX_DRAFT, lambda rows: rows**0.9) == 0
    for _ in range(100):
        length.observe(Draft((1,), "aligned"), 1)
    assert length.choose("aligned", MAX_DRAFT, lambda rows: rows**0.9) > 0


def test_sources_are_judged_apart() -> None:
    length = DraftLength()
    for _ in range(50):
        length.observe(Draft((1,), "ngram"), 0)
    assert length.acceptance("ngram") < 0.1 < length.acceptance("aligned")
    assert length.acceptance("none") == 0


def test_rows_that_cost_as_much_as_passes_are_not_worth_a_draft() -> None:
    assert DraftLength().choose("aligned", MAX_DRAFT, lambda rows: 2.0 * rows) == 0


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=40),
    st.integers(0, 20),
    st.floats(0, 3),
)
def test_the_length_is_bounded(seen: list[tuple[int, int]], limit: int, power: float) -> None:
    length = DraftLength()
    for drafted, accepted in seen:
        length.observe(Draft((0,) * drafted, "ngram"), min(drafted, accepted))
    length.observe(Draft(), 0)
    assert 0 < length.acceptance("ngram") < 1
    chosen = length.choose("ngram", limit, lambda rows: float(rows**power))
    assert 0 <= chosen <= limit
