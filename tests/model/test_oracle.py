"""The real 0.5B against llama.cpp's greedy tokens and log-probabilities for the same file.

``greedy_q05.json`` holds, for 12 prompts, the tokens llama.cpp chose and the five highest
log-probabilities at each, and the token ids of 15 strings.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from sparkcode.model.language_model import LanguageModel
from sparkcode.model.sampling import log_softmax
from sparkcode.model.tokenizer import StreamingDetokenizer

pytestmark = pytest.mark.weights

ORACLE: dict[str, Any] = json.loads(
    Path(__file__).with_name("greedy_q05.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("case", ORACLE["tokenizer"], ids=lambda case: repr(case["text"][:16]))
def test_strings_have_the_oracles_token_ids(real_model: LanguageModel, case: Any) -> None:
    tokenizer = real_model.tokenizer
    assert tokenizer.encode(case["text"]) == case["ids"]
    assert tokenizer.encode(case["text"], special=True) == case["ids_special"]
    assert tokenizer.decode(case["ids"]) == case["text"]


def test_prompts_and_answers_have_the_oracles_token_ids(real_model: LanguageModel) -> None:
    for case in ORACLE["prompts"]:
        assert real_model.tokenizer.encode(case["prompt"], special=True) == case["prompt_ids"]
        stream = StreamingDetokenizer(real_model.tokenizer, special=True)
        text = "".join([*(stream.feed([id]) for id in case["greedy_ids"]), stream.finish()])
        assert text == case["greedy_text"]


def teacher_forced(model: LanguageModel, case: Any) -> npt.NDArray[np.float64]:
    """Log-probabilities [T, V] at each of the oracle's greedy tokens, given those before."""
    cache = model.new_cache()
    list(model.prefill(case["prompt_ids"], cache))
    assert cache.last_logits is not None
    rows = [cache.last_logits[None], model.verify(case["greedy_ids"][:-1], cache)]
    return log_softmax(np.concatenate(rows))


def test_teacher_forced_answers_agree(real_model: LanguageModel) -> None:
    agreed: list[bool] = []
    differences: list[float] = []
    for case in ORACLE["prompts"]:
        ours = teacher_forced(real_model, case)
        agreed += (ours.argmax(axis=-1) == case["greedy_ids"]).tolist()
        tops = [top5[0] for top5 in case["top5"]]
        differences += [abs(ours[row, id] - log) for row, (id, log) in enumerate(tops)]
    agreement, difference = np.mean(agreed), np.mean(differences)
    print(f"{len(agreed)} positions: top-1 {agreement:.2%}, mean |Δ log p| {difference:.4f}")
    assert agreement >= 0.99
    assert difference <= 0.02
