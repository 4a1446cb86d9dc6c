"""llama.cpp in a process of its own, asked in JSON lines; a script for any Python that has it.

It imports nothing of this project. A line on stdin is a request, a line on stdout its answer:

    {"do": "load", "path": FILE, "threads": N, "context": N, "logits": BOOL}
        -> {"version", "system"}
    {"do": "run", "ids": [..], "follow": [..]}
        -> {"prefill_seconds", "ttft_seconds", "decode_seconds"}
    {"do": "score", "ids": [..]}
        -> {"nll_per_token"}

``{"error": text}`` answers what failed. The process ends with its stdin.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import llama_cpp
import numpy as np


class Peer:
    """One model in llama.cpp, evaluated through its own low-level calls."""

    def __init__(self, path: str, threads: int, context: int, logits: bool) -> None:
        self._llama = llama_cpp.Llama(
            path,
            n_ctx=context,
            n_threads=threads,
            n_threads_batch=threads,
            n_batch=512,
            logits_all=logits,
            verbose=False,
        )

    def run(self, ids: list[int], follow: list[int]) -> dict[str, float]:
        """Prompt, choice of the first token, and the tokens that follow it one by one."""
        llama = self._llama
        llama.reset()
        began = time.perf_counter()
        llama.eval(ids)
        evaluated = time.perf_counter()
        self._choose()
        chosen = time.perf_counter()
        for token in follow:
            llama.eval([token])
            self._choose()
        return {
            "prefill_seconds": evaluated - began,
            "ttft_seconds": chosen - began,
            "decode_seconds": time.perf_counter() - chosen,
        }

    def _choose(self) -> int:
        row = llama_cpp.llama_get_logits_ith(self._llama.ctx, -1)
        return int(np.ctypeslib.as_array(row, (self._llama.n_vocab(),)).argmax())

    def score(self, ids: list[int]) -> dict[str, float]:
        """Mean negative log-likelihood of ``ids[1:]``, each given all before it."""
        llama = self._llama
        llama.reset()
        llama.eval(ids)
        total = 0.0
        for row, token in zip(llama.scores[: len(ids) - 1], ids[1:], strict=True):
            row = row.astype(np.float64)
            top = row.max()
            total += top + np.log(np.exp(row - top).sum()) - row[token]
        return {"nll_per_token": float(total / (len(ids) - 1))}


def main() -> None:
    """Answer requests until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever the library prints is no answer
    peer = None
    for line in sys.stdin:
        ask: dict[str, Any] = json.loads(line)
        what = ask.pop("do")
        try:
            if what == "load":
                peer = Peer(**ask)
                system = llama_cpp.llama_print_system_info().decode()
                answer: dict[str, Any] = {"version": llama_cpp.__version__, "system": system}
            else:
                answer = getattr(peer, what)(**ask)
        except (ValueError, RuntimeError, OSError) as error:
            answer = {"error": str(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
