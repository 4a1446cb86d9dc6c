"""The instruction sets the kernels are written for, fastest first.

Only products differ between them, in three things: how many rows of weights fill a register
(``lanes``, one 32-bit sum each: 16 of AVX-512, 8 of the 256-bit sets), how many rows of activations
go together (``tiles``), and how bytes are multiplied (``dot``). All else has 8 lanes.

=========  ================================================================================
dot        four products of an unsigned and a signed byte
=========  ================================================================================
vnni       ``vpdpbusd`` adds them to a 32-bit sum: one instruction
maddubs    ``vpmaddubsw`` adds two of them in 16 bits, ``vpmaddwd`` two of those in 32
plain      multiplications and additions of wider integers, for any processor. No set has
           it: tests put it in the place of ``vnni`` where that instruction is missing
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

    name: Literal["avx512", "avxvnni", "avx2"]
    cpu: str
    """LLVM's name of the oldest processor that will do, then features (``+f``, ``-f``) by commas.

    ``-prefer-256-bit``: whole 512-bit registers.
    """
    needs: frozenset[str]
    """Features, in LLVM's spelling, without which the code would stop the process."""
    lanes: Literal[8, 16]
    registers: Literal[16, 32]
    dot: Literal["vnni", "maddubs", "plain"]
    tiles: tuple[int, ...]
    """Rows of activations whose sums fit into the registers, most first."""


AVX2: Final = InstructionSet("avx2", "x86-64-v3", _V3, 8, 16, "maddubs", (4, 2, 1))
AVXVNNI: Final = InstructionSet(
    "avxvnni", "x86-64-v3,+avxvnni", _V3 | {"avxvnni"}, 8, 16, "vnni", (4, 2, 1)
)
AVX512: Final = InstructionSet(
    "avx512",
    "x86-64-v4,+avx512vnni,-prefer-256-bit",
    _V3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx512vnni"},
    16,
    32,
    "vnni",
    (12, 8, 4, 2, 1),
)
INSTRUCTION_SETS: Final = (AVX512, AVXVNNI, AVX2)
"""Fastest first; ``needs`` are the features of the processor that LLVM's code is made for."""
