from __future__ import annotations

from sparkcode.bench.bandwidth import MemoryStream
from tests.bench.support import counting


def test_bytes_of_all_threads_in_the_time_of_a_pass() -> None:
    assert MemoryStream(3, size=80_000, timer=counting()).bytes_per_second() == 80_000


def test_the_best_pass_counts() -> None:
    times = iter([0.0, 4.0, 4.0, 5.0, 5.0, 7.0])
    assert MemoryStream(1, size=800, timer=lambda: next(times)).bytes_per_second() == 800
