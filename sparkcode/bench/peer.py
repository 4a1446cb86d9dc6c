"""Another engine in a process of its own: its memory and threads are idle while ours are measured.

It is asked in JSON lines (:mod:`sparkcode.bench.llama_peer` is the one that is shipped).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from sparkcode.bench.figures import Passes
from sparkcode.errors import EngineError, UsageError

LLAMA_CPP: Final = "llama.cpp"
_SCRIPT = Path(__file__).with_name("llama_peer.py")
ANSWER_SECONDS: Final = 600.0
"""How long the peer may take over one request."""


def peer_command(python: Path | None) -> list[str]:
    """What starts the peer: with ``python``, or with this interpreter."""
    if python is not None and not python.is_file():
        raise UsageError(f"no Python interpreter at {str(python)!r}")
    return [sys.executable if python is None else str(python), "-I", str(_SCRIPT)]


class Peer:
    """A running peer with a model loaded; a context manager that ends it."""

    def __init__(self, command: Sequence[str], *, limit: float = ANSWER_SECONDS) -> None:
        """Start ``command``; each answer may take ``limit`` seconds."""
        self._limit = limit
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (__exit__ closes it)
        try:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                encoding="utf-8",
            )
        except OSError as error:
            self._errors.close()
            raise EngineError(f"cannot start the peer {command[0]!r}: {error.strerror}") from error
        self.version = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        with self._process:
            self._errors.close()

    def load(self, path: Path, *, threads: int, context: int, logits: bool = False) -> None:
        """Load a GGUF file; ``logits`` keeps those of every token, which ``score`` needs."""
        wish = {"path": str(path), "threads": threads, "context": context, "logits": logits}
        self.version = str(self._ask("load", wish).get("version", ""))

    def run(self, ids: Sequence[int], follow: Sequence[int]) -> Passes:
        """As :meth:`sparkcode.bench.subject.Subject.run`."""
        answer = self._ask("run", {"ids": list(ids), "follow": list(follow)})
        names = ("prefill_seconds", "ttft_seconds", "decode_seconds")
        return Passes(*(self._number(answer, name) for name in names))

    def score(self, ids: Sequence[int]) -> float:
        """Mean negative log-likelihood a token, in nats, as :func:`sparkcode.bench.text.score`."""
        return self._number(self._ask("score", {"ids": list(ids)}), "nll_per_token")

    def _ask(self, what: str, wish: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        watch = threading.Timer(self._limit, self._process.kill)
        watch.start()
        try:
            self._process.stdin.write(json.dumps({"do": what, **wish}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError:
            line = ""
        finally:
            watch.cancel()
        try:
            answer = json.loads(line)
        except ValueError:
            raise EngineError(f"the peer ended without an answer: {self._last_words()}") from None
        if not isinstance(answer, dict) or "error" in answer:
            reason = answer["error"] if isinstance(answer, dict) else f"it answered {answer!r}"
            raise EngineError(f"the peer failed: {reason}")
        return answer

    def _number(self, answer: dict[str, Any], name: str) -> float:
        value = answer.get(name)
        if not isinstance(value, int | float) or not value > 0:
            raise EngineError(f"the peer answered {name} = {value!r}, not a number above 0")
        return float(value)

    def _last_words(self) -> str:
        """The last line on its stderr, such as that a module is missing."""
        self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        return said[-1][:200] if said else f"exit status {self._process.returncode}"
