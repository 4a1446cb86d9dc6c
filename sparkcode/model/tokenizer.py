"""Text to token ids and back, from a model file's own vocabulary.

A byte-level BPE vocabulary spells bytes as printable characters (the GPT-2 mapping), so that any
text can be encoded and any id sequence is some byte string. Two things follow:

* Encoding splits the text with the pre-tokenizer's pattern and merges bytes inside each piece.
  ``tiktoken`` does both; it needs token ids that rise in merge order, which the reader of the
  weights checks (:mod:`sparkcode.model.weights`).
* A token may end in the middle of a character. :class:`StreamingDetokenizer` therefore holds back
  an unfinished UTF-8 sequence until the next token completes it or proves it invalid, and the
  text it emits is that of the whole-text decode for every way of cutting the stream.

NumPy is not imported here, so a client may count tokens without it.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import tiktoken

from sparkcode.errors import WeightsError

NORMAL, CONTROL, USER_DEFINED = 1, 3, 4
"""Token types as in the GGUF specification; others (unknown, unused, byte) carry no text."""

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|"
_WORDS = r"[^\r\n\p{L}\p{N}]?\p{L}+|"
_TAIL = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_GPT2_HEAD = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+|"

PRE_TOKENIZERS: dict[str, str] = {
    "qwen2": _CONTRACTIONS + _WORDS + r"\p{N}|" + _TAIL,
    "llama-bpe": _CONTRACTIONS + _WORDS + r"\p{N}{1,3}|" + _TAIL,
    "gpt-2": _GPT2_HEAD + r" ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    # Digits are split off first, so white space before one is a piece of its own.
    "smollm": _GPT2_HEAD + r"\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?![^\s\p{N}])|\s+",
}
"""Pattern by ``tokenizer.ggml.pre``, as llama.cpp splits (src/llama-vocab.cpp)."""

_PRE_ALIASES = {"llama3": "llama-bpe", "llama-v3": "llama-bpe", "default": "gpt-2", "": "gpt-2"}

_END_TOKENS = (
    "<|im_end|>",
    "<|endoftext|>",
    "<|eot_id|>",
    "<|end_of_text|>",
    "<|eom_id|>",
    # After a middle that was filled in a model may go on with padding or another file.
    "<|fim_pad|>",
    "<|file_sep|>",
    "<|repo_name|>",
)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A model file's vocabulary as it stands there; position in ``tokens`` is the token id."""

    model: str
    """``tokenizer.ggml.model``; only ``gpt2`` (byte-level BPE) can be used."""
    pre: str
    """``tokenizer.ggml.pre``; a key of :data:`PRE_TOKENIZERS` or an alias."""
    tokens: tuple[str, ...]
    types: tuple[int, ...]
    eos_id: int | None = None
    eot_id: int | None = None
    bos_id: int | None = None
    """Set only when the file asks for a beginning-of-sequence token before every prompt."""


class Tokenizer:
    """Encodes and decodes with one vocabulary; immutable, safe to share between threads."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        """Build the encoder; raises WeightsError for a vocabulary that is no byte-level BPE."""
        ranks, special, self._pieces = _split_vocabulary(vocabulary)
        self._special = special
        self._control = frozenset(id for id, kind in enumerate(vocabulary.types) if kind == CONTROL)
        self._encoding = tiktoken.Encoding(
            "gguf",
            pat_str=_pattern(vocabulary.pre),
            mergeable_ranks=ranks,
            special_tokens=special,
        )
        named = (special.get(text) for text in _END_TOKENS)
        ends = (vocabulary.eos_id, vocabulary.eot_id, *named)
        self.eos_ids: frozenset[int] = frozenset(id for id in ends if id is not None)
        """Ids that end an answer."""
        self.bos_id: int | None = vocabulary.bos_id
        """The id that has to precede every prompt, or None."""
        self._longest = max(map(len, self._pieces))

    @property
    def vocab_size(self) -> int:
        """Number of ids, those without text included; logits have this many columns."""
        return len(self._pieces)

    def special_id(self, text: str) -> int | None:
        """The id of the special token spelled ``text``, or None."""
        return self._special.get(text)

    def encode(self, text: str, *, special: bool = False) -> list[int]:
        """Token ids of ``text``.

        With ``special`` the spelling of a special token becomes its id; without, it is ordinary
        text, so nothing that a user or a file contains can end a turn or open another.
        """
        allowed = self._special.keys() if special else ()
        return self._encoding.encode(text, allowed_special=set(allowed), disallowed_special=())

    def least_tokens(self, characters: int) -> int:
        """How many tokens a text of so many characters has at least; costs nothing."""
        return characters // self._longest

    def decode(self, ids: Iterable[int], *, special: bool = True) -> str:
        """Text of ``ids``; bytes that are no UTF-8 become U+FFFD.

        Without ``special``, control tokens decode to nothing. Raises ValueError for an id outside
        the vocabulary.
        """
        return b"".join(self._bytes(ids, special=special)).decode("utf-8", errors="replace")

    def _bytes(self, ids: Iterable[int], *, special: bool) -> Iterator[bytes]:
        for id in ids:
            if not 0 <= id < len(self._pieces):
                raise ValueError(f"token id {id!r} is outside 0 to {len(self._pieces) - 1}")
            if special or id not in self._control:
                yield self._pieces[id]


class StreamingDetokenizer:
    """Turns tokens into text as they arrive: ``feed`` each step's ids, then ``finish`` once.

    The concatenation of what is returned equals ``tokenizer.decode(all ids, special=special)``
    for every split of the ids into steps.
    """

    def __init__(self, tokenizer: Tokenizer, *, special: bool = False) -> None:
        self._tokenizer = tokenizer
        self._special = special
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, ids: Iterable[int]) -> str:
        """The text that is certain after ``ids``; an unfinished character is held back."""
        return self._decoder.decode(b"".join(self._tokenizer._bytes(ids, special=self._special)))

    def finish(self) -> str:
        """What was held back, as U+FFFD where it never became a character; then starts anew."""
        rest = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return rest


def byte_characters() -> dict[str, int]:
    """The character that spells each byte in a byte-level BPE vocabulary, to that byte.

    Printable Latin-1 bytes spell themselves; the other 68 take the characters from U+0100 on
    (GPT-2, ``encoder.py``).
    """
    printable = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
    spelling = {chr(byte): byte for byte in printable}
    others = (byte for byte in range(256) if byte not in printable)
    return spelling | {chr(0x100 + index): byte for index, byte in enumerate(others)}


def _pattern(pre: str) -> str:
    name = _PRE_ALIASES.get(pre, pre)
    if name not in PRE_TOKENIZERS:
        known = ", ".join(sorted(PRE_TOKENIZERS))
        raise WeightsError(
            f"pre-tokenizer {pre!r} is not known: it would have to be one of {known}"
        )
    return PRE_TOKENIZERS[name]


def _split_vocabulary(
    vocabulary: Vocabulary,
) -> tuple[dict[bytes, int], dict[str, int], list[bytes]]:
    """Ordinary tokens as bytes to id, special tokens as text to id, and the bytes of every id."""
    _require_byte_level(vocabulary)
    table = _byte_table()
    ranks: dict[bytes, int] = {}
    special: dict[str, int] = {}
    pieces = [b""] * len(vocabulary.tokens)
    for id, (token, kind) in enumerate(zip(vocabulary.tokens, vocabulary.types, strict=True)):
        if kind == NORMAL:
            pieces[id] = _token_bytes(token, table)
            ranks[pieces[id]] = id
        elif kind in (CONTROL, USER_DEFINED) and token:
            pieces[id] = token.encode()
            special[token] = id
    missing = [byte for byte in range(256) if bytes((byte,)) not in ranks]
    if missing:
        raise WeightsError(
            f"the vocabulary has no token for byte {missing[0]:#04x} "
            f"({len(missing)} of 256 missing): byte-level BPE needs one for every byte"
        )
    return ranks, special, pieces


def _require_byte_level(vocabulary: Vocabulary) -> None:
    if vocabulary.model != "gpt2":
        raise WeightsError(
            f"tokenizer model {vocabulary.model!r} cannot be used: "
            "only 'gpt2' (byte-level BPE) can, not SentencePiece"
        )
    if len(vocabulary.tokens) != len(vocabulary.types):
        raise WeightsError(
            f"the vocabulary has {len(vocabulary.tokens)} tokens "
            f"but {len(vocabulary.types)} token types: there must be one type a token"
        )


def _byte_table() -> dict[int, str]:
    """``str.translate`` table from spelling to Latin-1; characters that spell no byte turn into
    one that Latin-1 lacks."""
    spelling = byte_characters()
    table = {ordinal: "\uffff" for ordinal in range(256) if chr(ordinal) not in spelling}
    return table | {ord(character): chr(byte) for character, byte in spelling.items()}


def _token_bytes(token: str, table: dict[int, str]) -> bytes:
    try:
        return token.translate(table).encode("latin-1")
    except UnicodeEncodeError as error:
        raise WeightsError(
            f"token {token!r} has a character that spells no byte: the vocabulary is not "
            "byte-level BPE"
        ) from error
