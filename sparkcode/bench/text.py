"""How well a model predicts a text: mean negative log-likelihood of its tokens, in nats.

Teacher-forced, over the text's first 2,048 tokens and without a chat template: token i is scored
given tokens 0 to i - 1 of the file itself, whatever the model would have said. The first token has
nothing before it and is not scored, so n tokens give n - 1 scores. That is what llama.cpp's
perplexity does to one chunk, except that it scores only a chunk's second half.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from sparkcode.bench.machine import Target
from sparkcode.bench.peer import Peer
from sparkcode.errors import WorkspaceError
from sparkcode.model.language_model import LanguageModel

MAX_TOKENS: Final = 2048
_CHUNK = 64
"""Tokens a step: their logits take about 40 MB with 150,000 words."""
_FIRST_BYTES = 32 << 10
_MOST_BYTES = 8 << 20
_MARGIN_TOKENS = 64
"""Tokens near a cut might be others in the whole text; so many behind the last one are enough."""

Encode = Callable[[str], list[int]]


@dataclass(frozen=True, slots=True)
class TextScore:
    """What a model made of a text."""

    tokens: int
    """Tokens of the text, the first included."""
    nll_per_token: float
    """Mean over ``tokens`` - 1."""
    choices: tuple[int, ...]
    """The most likely token at each scored place."""


def read_ids(path: Path, encode: Encode, *, limit: int = MAX_TOKENS) -> list[int]:
    """The first ``limit`` tokens of a file; no more of it is read than that needs.

    WorkspaceError when it cannot be read, is not UTF-8, or has fewer than two tokens.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_FIRST_BYTES)
            while True:
                text = _decoded(data, path)
                ids = encode(text)
                more = b""
                if len(ids) < limit + _MARGIN_TOKENS and len(data) < _MOST_BYTES:
                    more = file.read(max(len(data), 1))
                if not more:
                    break
                data += more
            ended = not file.read(1)
    except OSError as error:
        raise WorkspaceError(f"cannot read the text {str(path)!r}: {error.strerror}") from error
    if ended:
        _decoded(data, path, final=True)
    if len(ids) < 2:
        raise WorkspaceError(f"the text {str(path)!r} has {len(ids)} tokens; at least 2 are needed")
    return ids[:limit]


def require_file(path: Path) -> None:
    """WorkspaceError where ``path`` cannot be opened: said before a model is loaded."""
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise WorkspaceError(f"cannot read the text {str(path)!r}: {error.strerror}") from error


def _decoded(data: bytes, path: Path, *, final: bool = False) -> str:
    """``data`` as text; a character that the end cuts is left out unless it is ``final``."""
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(data, final)
    except UnicodeDecodeError as error:
        raise WorkspaceError(f"the text {str(path)!r} is not UTF-8: {error}") from error


def score(model: LanguageModel, ids: Sequence[int]) -> TextScore:
    """Score ``ids[1:]``; ValueError for fewer than two."""
    if len(ids) < 2:
        raise ValueError("a text of fewer than two tokens has no score")
    cache = model.new_cache()
    total, choices = 0.0, list[int]()
    for first in range(0, len(ids) - 1, _CHUNK):
        last = min(first + _CHUNK, len(ids) - 1)
        rows = model.verify(ids[first:last], cache)  # [T, V]
        wanted = np.asarray(ids[first + 1 : last + 1])
        top = rows.max(axis=1)
        sums = np.exp(rows - top[:, None]).sum(axis=1, dtype=np.float64)
        own = rows[np.arange(len(rows)), wanted]
        total += float((np.log(sums) + top - own).sum(dtype=np.float64))
        choices += rows.argmax(axis=1).tolist()
    return TextScore(len(ids), total / (len(ids) - 1), tuple(choices))


def agreement(one: TextScore, other: TextScore) -> float:
    """Share of places where both would choose the same token."""
    pairs = zip(one.choices, other.choices, strict=True)
    return sum(a == b for a, b in pairs) / len(one.choices)


def peer_score(command: Sequence[str], target: Target, ids: Sequence[int]) -> float:
    """What the peer that ``command`` starts makes of ``ids``, in nats a token."""
    with Peer(command) as peer:
        peer.load(target.path, threads=target.threads, context=len(ids), logits=True)
        return peer.score(ids)
