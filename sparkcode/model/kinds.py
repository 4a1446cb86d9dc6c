"""Which kind of record holds which matrix: by its GGML type and its role, never by the model.

A matrix whose codes a kind can hold as they are keeps them: nothing is lost, and no kind that does
as well is smaller. The others are rounded by least squares (:mod:`sparkcode.model.rounding`).
A head of its own is read for every token and is the largest matrix, so it gets 5 bits even where
the file has more; what else has 6 bits keeps about 6. Types that are finer still are rarely seen in
files that are meant to be quick, and get 8.

Measured on 2,080 tokens of Python, ``argparse`` / ``tarfile`` of the standard library, against the
same file's weights in float32: bytes of weights that a token reads, rise of the negative
log-likelihood per token, and how often the likeliest token is the same. A choice has to hold 0.5 %
and 97 %. The kinds are those of Q6_K (Q4_K stays as it is) and of the head; the models are
Qwen2.5-Coder as Q4_K_M. Five bits for Q6_K would do for the 1.5B but not for the 0.5B:

====  ===========  =============  ================  ==============
      kinds        million bytes  likelihood, %     same token, %
====  ===========  =============  ================  ==============
0.5B  q8, as it    405.1          +0.01 / +0.01     99.9 / 99.9
0.5B  q6, q6       357.9          +0.08 / +0.08     97.9 / 98.6
0.5B  **q6, q5**   340.9          +0.06 / +0.08     97.1 / 97.3
0.5B  q5, q5       334.4          -0.04 / +0.15     96.9 / 97.4
1.5B  q5, q6       968.7          +0.11             98.4
1.5B  **q6, q5**   964.9          +0.22 / +0.16     98.0 / 97.3
1.5B  q5, q5       939.6          +0.37             98.1
1.5B  q5, Q4_K     914.1          +0.65             95.6
====  ===========  =============  ================  ==============

The 0.5B's head is Q8_0; "Q4_K" is the embedding's matrix used as the head. The rows in bold are
what is packed, run by the AVX2 kernels, which round activations to 8 bit; the others were computed
in float32 (the first figures of "q6, q6" with activations rounded). One figure: ``argparse`` alone.
"""

from __future__ import annotations

from typing import Final, Literal

from sparkcode.model.blocks import Kind
from sparkcode.model.ggml import EXACT_KINDS

Role = Literal["head", "other"]
"""An output head of its own; all other matrices."""

_ROUNDED: Final[dict[tuple[str, Role], Kind]] = {
    ("Q8_0", "head"): "q5",
    ("Q6_K", "head"): "q5",
    ("Q6_K", "other"): "q6",
}


def role_of(name: str) -> Role:
    """The role of the matrix called ``name`` in the file.

    An embedding that is the head as well is no head here: its errors would count twice.
    """
    return "head" if name == "output.weight" else "other"


def kind_of(encoding: str, role: Role) -> Kind:
    """The kind of record for a matrix of a GGML type."""
    return _ROUNDED.get((encoding, role)) or EXACT_KINDS.get(encoding) or "q8"
