"""How many threads run, settled before NumPy is imported: its BLAS reads the environment once."""

from __future__ import annotations

import os


def use_threads(wanted: int | None) -> int:
    """The number of threads: ``wanted``, or one a processor."""
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
    if wanted is not None:
        os.environ["OPENBLAS_NUM_THREADS"] = str(wanted)
        return wanted
    from sparkcode.model.kernels.team import available_threads

    return available_threads()
