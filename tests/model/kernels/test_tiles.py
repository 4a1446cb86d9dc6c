from __future__ import annotations

from llvmlite import ir

from sparkcode.model.blocks import Kind
from sparkcode.model.kernels.tiles import JOB_FIELDS, PART_FIELDS, emit_module, emit_multiply


def test_the_text_is_the_same_each_time() -> None:
    """Else no machine code would ever be found again."""
    assert str(emit_module()) == str(emit_module())


def test_the_module_defines_what_is_called() -> None:
    defined = [name for name, f in emit_module().globals.items() if not f.is_declaration]
    products = ["multiply_q4", "multiply_q5", "multiply_q8"]
    assert defined == ["quantise", *products, "run", "attend"]


def test_no_operation_may_be_reordered_or_fused() -> None:
    text = str(emit_module())
    for word in ("fast", "reassoc", "contract", "fmuladd", "llvm.fma"):
        assert word not in text


def test_only_8_bit_records_need_a_sum_for_each_vector() -> None:
    def sums(kind: Kind) -> int:
        module = ir.Module("one")
        emit_multiply(module, kind)
        return str(module).count('call <8 x i32> @"llvm.x86.avx2.pmadd.wd"')

    # Four half blocks for one row and four for many.
    assert [sums("q4"), sums("q5"), sums("q8")] == [8, 16, 64]


def test_a_part_is_as_long_as_a_job() -> None:
    """They are lines of one array."""
    assert len(PART_FIELDS) == len(JOB_FIELDS)
