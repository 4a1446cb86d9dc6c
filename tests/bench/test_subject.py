from __future__ import annotations

from sparkcode.bench.machine import Target
from sparkcode.bench.subject import WARM_NEW_TOKENS, Subject
from tests.bench.support import counting


def test_a_run_is_a_prompt_a_choice_and_what_follows(target: Target) -> None:
    passes = Subject(target.model, counting()).run([1, 2, 3], [4, 5])
    assert (passes.prefill_seconds, passes.ttft_seconds, passes.decode_seconds) == (1.0, 2.0, 1.0)


def test_only_the_new_end_of_a_warm_prompt_is_timed(target: Target) -> None:
    for length in (1, WARM_NEW_TOKENS, 80):
        assert Subject(target.model, counting()).warm_ttft(list(range(length))) == 1.0


def test_batches_of_each_size(target: Target) -> None:
    seconds = Subject(target.model, counting()).batch_seconds([1, 2, 3], (1, 4))
    assert seconds == {1: 1.0, 4: 1.0}
