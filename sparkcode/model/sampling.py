"""From logits to the next token.

A sampler is a function from one row of logits [V] to a token id. Greedy decoding takes the highest
logit (the first of equals); otherwise logits are divided by the temperature and a token is drawn
from the nucleus, the smallest set of most probable tokens whose probability reaches ``top_p``
(Holtzman et al. 2020).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkcode.errors import EngineError
from sparkcode.model.blocks import F32

Sampler = Callable[[F32], int]
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How to choose a token; the default is greedy."""

    temperature: float = 0.0
    """0 is greedy; 1 samples the model's own distribution."""
    top_p: float = 1.0
    """Probability mass of the nucleus, above 0 and at most 1."""
    seed: int | None = None
    """Makes the drawn tokens repeatable; None takes fresh randomness."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise EngineError(
                f"temperature {self.temperature!r} has to be 0 or more", code="invalid_value"
            )
        if not 0 < self.top_p <= 1:
            raise EngineError(
                f"top_p {self.top_p!r} has to be above 0 and at most 1", code="invalid_value"
            )
        if self.seed is not None and self.seed < 0:
            raise EngineError(f"seed {self.seed!r} has to be 0 or more", code="invalid_value")


def make_sampler(params: SamplingParams) -> Sampler:
    """The sampler that ``params`` describe; a drawing one advances its own random state."""
    if params.temperature == 0:
        return greedy
    random = np.random.default_rng(params.seed)

    def draw(logits: F32) -> int:
        ids, mass = nucleus(tempered(logits, params.temperature), params.top_p)
        cumulative = np.cumsum(mass)
        position = int(np.searchsorted(cumulative, random.random() * cumulative[-1], side="right"))
        return int(ids[min(position, len(ids) - 1)])

    return draw


def greedy(logits: F32) -> int:
    """The id with the highest logit, [V] -> id."""
    return int(np.argmax(logits))


def tempered(logits: F32, temperature: float) -> F64:
    """Probabilities at a temperature above 0: [V] -> [V]."""
    shifted = logits.astype(np.float64) - float(logits.max())
    with np.errstate(over="ignore"):  # towards temperature 0 all but the best go to minus infinity
        e = np.exp(shifted / temperature)
    return np.asarray(e / e.sum())


def nucleus(probabilities: F64, top_p: float) -> tuple[npt.NDArray[np.int64], F64]:
    """Ids of the smallest set whose mass reaches ``top_p``, and their probabilities.

    Most probable first when ``top_p`` is below 1; the lower id first of equals.
    """
    if top_p == 1:
        return np.arange(len(probabilities)), probabilities
    # Tokens below this hold less than 1 - top_p together, so none of them is needed: sort the few.
    ids = np.flatnonzero(probabilities >= (1 - top_p) / len(probabilities))
    order = ids[np.argsort(-probabilities[ids], kind="stable")]
    mass = probabilities[order]
    count = int(np.searchsorted(np.cumsum(mass), top_p)) + 1
    return order[:count], mass[:count]


def log_softmax(logits: F32) -> F64:
    """Natural log-probabilities along the last axis, in double precision: [..., V] -> [..., V]."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))
