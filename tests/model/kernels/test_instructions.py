"""Code for instructions that this processor may lack."""

from __future__ import annotations

import platform
from dataclasses import replace
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import pytest
from llvmlite import ir

from sparkcode.model.kernels.compiled import CompiledModule, target_machine
from sparkcode.model.kernels.instructions import (
    AVX2,
    AVX512,
    AVXVNNI,
    INSTRUCTION_SETS,
    InstructionSet,
)
from sparkcode.model.kernels.quantise import emit_quantise
from sparkcode.model.kernels.reference import product
from sparkcode.model.kernels.selftest import multiply, random_records
from sparkcode.model.kernels.tiles import emit_multiply, emit_run
from sparkcode.model.kernels.unpack import LAYOUTS, RecordKind
from tests.model.kernels.scalar import needs_avx2

needs_x86 = pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"), reason="LLVM's native target is another"
)


@needs_avx2
@pytest.mark.parametrize("kind", sorted(LAYOUTS))
@pytest.mark.parametrize("isa", [AVX512, AVXVNNI], ids=lambda isa: isa.name)
def test_all_but_the_instruction_is_right(
    tmp_path: Path, isa: InstructionSet, kind: RecordKind
) -> None:
    """LLVM splits registers this processor lacks; ``dot4`` is made of plain operations."""
    plain = replace(isa, dot="plain")
    module = ir.Module("test")
    emit_quantise(module)
    emit_multiply(module, kind, plain)
    emit_run(module)
    code = CompiledModule(
        str(module), cpu=AVX2.cpu, folder=tmp_path, name="plain", say=lambda _: None
    )
    weights = random_records(kind, 2, 512, 1)
    x = np.random.default_rng(2).standard_normal((15, 512)).astype(np.float32)
    for rows in (1, 2, 15):
        found = multiply(code.address, kind, weights, x[:rows])
        np.testing.assert_array_equal(found, product(kind, weights, x[:rows]))


def assembly(isa: InstructionSet, cpu: str, kind: RecordKind) -> list[str]:
    module = ir.Module("test")
    emit_multiply(module, kind, isa)
    machine = target_machine(cpu)
    text: str = machine.emit_assembly(llvm.parse_assembly(str(module)))
    return [" ".join(line.split()) for line in text.splitlines()]


@needs_x86
@pytest.mark.parametrize("cpu", [AVX512.cpu, "cascadelake", "znver4"])
def test_avx512_multiplies_with_one_instruction(cpu: str) -> None:
    lines = assembly(AVX512, cpu, "q5")
    dots = [line for line in lines if "vpdpbusd" in line]
    assert dots
    assert all("%zmm" in line for line in dots)
    assert not [line for line in lines if "vpmaddubsw" in line]


@needs_x86
def test_avxvnni_does_in_short_registers() -> None:
    dots = [line for line in assembly(AVXVNNI, AVXVNNI.cpu, "q8") if "vpdpbusd" in line]
    assert dots
    assert all("{vex}" in line and "%ymm" in line for line in dots)


def test_the_fastest_comes_first() -> None:
    assert [isa.name for isa in INSTRUCTION_SETS] == ["avx512", "avxvnni", "avx2"]
    for isa in INSTRUCTION_SETS:
        assert AVX2.needs <= isa.needs
        assert isa.tiles[-1] == 1
