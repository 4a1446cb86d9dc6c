from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkcode.errors import WeightsError
from sparkcode.model.tokenizer import (
    PRE_TOKENIZERS,
    StreamingDetokenizer,
    Tokenizer,
    Vocabulary,
    byte_characters,
)
from tests.model.tiny import vocabulary

TOKENS, TYPES = vocabulary()
VOCABULARY = Vocabulary("gpt2", "qwen2", tuple(TOKENS), tuple(TYPES), eos_id=258, bos_id=None)
TOKENIZER = Tokenizer(VOCABULARY)
START, END = TOKENS.index("<|im_start|>"), TOKENS.index("<|im_end|>")

token_ids = st.lists(st.integers(0, len(TOKENS) - 1), max_size=40)


@given(st.text(), st.sampled_from(sorted(PRE_TOKENIZERS)))
@settings(deadline=None)
def test_any_text_survives_the_round_trip(text: str, pre: str) -> None:
    tokenizer = Tokenizer(replace(VOCABULARY, pre=pre))
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(st.text(alphabet=st.sampled_from("<|im_startend>the é")))
@settings(deadline=None)
def test_user_text_never_becomes_a_special_token(text: str) -> None:
    text += "<|im_start|>"
    ids = TOKENIZER.encode(text)
    assert START not in ids
    assert TOKENIZER.decode(ids) == text


def test_special_tokens_are_recognised_on_request() -> None:
    ids = TOKENIZER.encode("<|im_start|>the<|im_end|>", special=True)
    assert (ids[0], ids[-1]) == (START, END)
    assert TOKENIZER.decode(ids) == "<|im_start|>the<|im_end|>"
    assert TOKENIZER.decode(ids, special=False) == "the"
    assert TOKENIZER.special_id("<|im_end|>") == END
    assert TOKENIZER.special_id("the") is None


def test_merges_are_applied_in_order() -> None:
    assert TOKENIZER.decode(TOKENIZER.encode(" the")) == " the"
    assert TOKENIZER.encode(" the") == [TOKENS.index("Ġthe")]
    assert TOKENIZER.encode("é") == [TOKENS.index("Ã©")]


def test_ends_are_the_files_and_the_well_known_ones() -> None:
    assert TOKENIZER.eos_ids == {258, END, TOKENS.index("<|endoftext|>")}
    assert TOKENIZER.bos_id is None
    assert TOKENIZER.vocab_size == len(TOKENS)


def test_ids_without_text_decode_to_nothing() -> None:
    assert TOKENIZER.decode([TOKENS.index("[PAD]")]) == ""
    assert TOKENIZER.decode([TOKENS.index("<tool_call>")], special=False) == "<tool_call>"


@pytest.mark.parametrize("id", [-1, len(TOKENS)])
def test_ids_outside_the_vocabulary_are_refused(id: int) -> None:
    with pytest.raises(ValueError, match=f"token id {id} is outside 0 to"):
        TOKENIZER.decode([id])


@given(token_ids, st.data())
@settings(deadline=None)
def test_streamed_text_is_the_whole_text_for_any_split(ids: list[int], data: st.DataObject) -> None:
    special = data.draw(st.booleans())
    cuts = sorted(data.draw(st.lists(st.integers(0, len(ids)), max_size=6)))
    stream = StreamingDetokenizer(TOKENIZER, special=special)
    starts, ends = [0, *cuts], [*cuts, len(ids)]
    parts = [stream.feed(ids[a:b]) for a, b in zip(starts, ends, strict=True)]
    assert "".join(parts) + stream.finish() == TOKENIZER.decode(ids, special=special)
    assert stream.finish() == ""


@given(st.text())
@settings(deadline=None)
def test_valid_text_streams_without_replacement_characters(text: str) -> None:
    text = text.replace("\N{REPLACEMENT CHARACTER}", "")
    stream = StreamingDetokenizer(TOKENIZER)
    parts = [stream.feed([id]) for id in TOKENIZER.encode(text)]
    assert stream.finish() == ""
    assert "\N{REPLACEMENT CHARACTER}" not in "".join(parts)
    assert "".join(parts) == text


def test_every_byte_has_one_character() -> None:
    spelling = byte_characters()
    assert sorted(spelling.values()) == list(range(256))
    assert (spelling["A"], spelling["Ġ"], spelling["Ċ"]) == (0x41, 0x20, 0x0A)


@pytest.mark.parametrize(
    ("pre", "text", "pieces"),
    [
        ("qwen2", "ab 123", ["ab", " ", "1", "2", "3"]),
        ("llama-bpe", "ab 1234", ["ab", " ", "123", "4"]),
        ("gpt-2", "ab 1234  c", ["ab", " 1234", " ", " c"]),
        ("smollm", "ab  12  c", ["ab", "  ", "1", "2", " ", " c"]),
    ],
)
def test_pre_tokenizers_split(pre: str, text: str, pieces: list[str]) -> None:
    # One token per piece: every piece is in the vocabulary, so merging cannot go any further.
    spelling = {byte: character for character, byte in byte_characters().items()}
    words = ["".join(spelling[byte] for byte in piece.encode()) for piece in set(pieces)]
    more = tuple(sorted(word for word in words if len(word) > 1))
    whole = "".join(spelling[byte] for byte in text.encode())
    tokens = (*TOKENS, *more, whole)
    tokenizer = Tokenizer(Vocabulary("gpt2", pre, tokens, (*TYPES, *[1] * (len(more) + 1))))
    assert [tokenizer.decode([id]) for id in tokenizer.encode(text)] == pieces


@pytest.mark.parametrize(
    ("vocabulary", "message"),
    [
        (replace(VOCABULARY, model="llama"), "tokenizer model 'llama' cannot be used: only 'gpt2'"),
        (replace(VOCABULARY, pre="tekken"), "pre-tokenizer 'tekken' is not known.*qwen2"),
        (replace(VOCABULARY, types=(1, 1)), "tokens but 2 token types"),
        (replace(VOCABULARY, tokens=("a b",), types=(1,)), "'a b' has a character that spells no"),
        (replace(VOCABULARY, tokens=("日",), types=(1,)), "character that spells no byte"),
        (replace(VOCABULARY, tokens=("a",), types=(1,)), "no token for byte 0x00 .255 of 256"),
    ],
)
def test_unusable_vocabularies_are_refused(vocabulary: Vocabulary, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        Tokenizer(vocabulary)


def test_counting_tokens_needs_no_numpy() -> None:
    code = "import sys, sparkcode.model.tokenizer; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
