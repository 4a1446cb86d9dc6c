from __future__ import annotations

from llvmlite import ir

from sparkcode.model.kernels.instructions import AVX2
from sparkcode.model.kernels.tiles import JOB_FIELDS, PART_FIELDS, emit_module, emit_multiply
from sparkcode.model.kernels.unpack import RecordKind


def test_the_text_is_the_same_each_time() -> None:
    """Else no machine code would ever be found again."""
    assert str(emit_module()) == str(emit_module())


def test_the_module_defines_what_is_called() -> None:
    defined = [name for name, f in emit_module().globals.items() if not f.is_declaration]
    products = [f"multiply_{kind}" for kind in ("q4", "q4k", "q5", "q6", "q8")]
    assert defined == ["quantise", *products, "run"]


def test_no_operation_may_be_reordered_or_fused_but_where_it_says_so() -> None:
    text = str(emit_module())
    for word in ("fast", "reassoc", "contract", "fmuladd"):
        assert word not in text


def test_only_8_bit_records_need_a_sum_for_each_vector() -> None:
    def sums(kind: RecordKind) -> int:
        module = ir.Module("one")
        emit_multiply(module, kind, AVX2)
        return str(module).count('call <8 x i32> @"llvm.x86.avx2.pmadd.wd"')

    # Half blocks: two of 1 and 2 rows, one of 4 + 2 + 1 rows; q6 adds up activations as well.
    halves = 2 * (2 * 3 + 7)
    assert [sums(kind) for kind in ("q5", "q4", "q6", "q8")] == [
        halves,
        halves,
        4 * halves + halves,
        8 * halves,
    ]


def test_a_part_is_as_long_as_a_job() -> None:
    """They are lines of one array."""
    assert len(PART_FIELDS) == len(JOB_FIELDS)
