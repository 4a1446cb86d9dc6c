"""The instruction sets the kernels are written for, fastest first.

A kernel's code is the same for all of them but for two things: how many rows of weights fill a
register (``lanes``, one 32-bit sum each: 16 of AVX-512, 8 of the 256-bit sets), and how bytes are
multiplied (``dot``):

=========  ================================================================================
dot        four products of an unsigned and a signed byte
=========  ================================================================================
vnni       ``vpdpbusd`` adds them to a 32-bit sum: one instruction
maddubs    ``vpmaddubsw`` adds two of them in 16 bits, ``vpmaddwd`` two of those in 32
plain      multiplications and additions of wider integers, for any processor: it shows that
           code for ``vnni`` is right where that instruction is missing
=========  ================================================================================

All give the same integers, and what follows is the same arithmetic lane by lane, so all give the
same results, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

_V3 = frozenset({"avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "popcnt"})


@dataclass(frozen=True, slots=True)
class InstructionSet:
    """What code is made for."""

    cpu: str
    """LLVM's name of the least processor."""
    needs: frozenset[str]
    """Features, in LLVM's spelling, without which the code would stop the process."""
    lanes: Literal[8, 16]
    dot: Literal["vnni", "maddubs", "plain"]
    tiles: tuple[int, ...]
    """Rows of activations whose sums fit into the registers, most first."""
    extra: str = ""
    """Features of the target besides the processor's, as LLVM writes them."""


AVX2: Final = InstructionSet("x86-64-v3", _V3, 8, "maddubs", (4, 2, 1))
AVXVNNI: Final = InstructionSet("x86-64-v3", _V3 | {"avxvnni"}, 8, "vnni", (4, 2, 1), "+avxvnni")
AVX512: Final = InstructionSet(
    "cascadelake",
    _V3 | {"adx", "aes", "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx512vnni"}
    | {"clflushopt", "clwb", "fsgsbase", "invpcid", "pclmul", "prfchw", "rdseed", "xsavec"},
    16,
    "vnni",
    (8, 4, 2, 1),
)
"""``needs`` are those of LLVM's cascadelake."""
