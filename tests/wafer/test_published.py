from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sparkcode.errors import ConfigError, UsageError
from sparkcode.wafer.published import MAX_FILE_BYTES, development_rows, parse, read_rows, stored
from sparkcode.wafer.shape import load_shape, shape_names

ROWS = development_rows()
FIRST = ROWS[0]
HEADER = (
    "row_id,system,chips,model,params_total,params_active,precision,context_in,output_tokens,"
    "batch_or_users,metric,value,source,confidence,klass,notes"
)
LINE = "r1,SGLang,1x A100-80GB,llama3-8b,8,8,fp16,4096,,1,decode_tok_s,80,a table,med,gpu,"


def test_the_table_that_ships() -> None:
    assert len(ROWS) == 181
    assert len({row.row_id for row in ROWS}) == 181
    assert all(row.value > 0 and row.source for row in ROWS)
    known = set(shape_names())
    assert all(row.shape_name in known for row in ROWS if row.shape_name)


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        ("llama3-8b", "llama-3.1-8b"),
        ("Llama-3.3-70B-Instruct", "llama-3.1-70b"),
        ("deepseek-r1-distill-llama-70b", "llama-3.1-70b"),
        ("deepseek-r1", "deepseek-r1"),
        ("llama-70b", "llama-2-70b"),
        ("llama2-7b", "llama-2-7b"),
        ("llama4-maverick", "llama-4-maverick"),
        ("qwen3-coder-480b", "qwen3-coder-480b-a35b"),
        ("kimi-k2.6", "kimi-k2"),
        ("glm-4.7", "glm-4.6"),
        ("gpt-5.3-codex-spark", "gpt-oss-120b"),
        ("qwen2.5-coder-1.5b", "qwen2.5-coder-1.5b"),
        ("qwen3.8-27b", None),
        ("frontier models", None),
    ],
)
def test_models_are_known_by_many_names(model: str, shape: str | None) -> None:
    assert replace(FIRST, model=model).shape_name == shape


@pytest.mark.parametrize(
    ("chips", "devices"),
    [
        ("1x A100-80GB (330 W cap)", (1, 1)),
        ("8x H100 SXM", (8, 1)),
        ("8 x H100 SXM", (8, 1)),
        ("0x H100", (1, 1)),
        ("9" * 400 + "x H100", (1, 1)),
        ("2x8 A100-80GB NVLink+IB", (16, 2)),
        ("CS-3 (WSE-3)", (1, 1)),
        ("", (1, 1)),
    ],
)
def test_devices_and_nodes(chips: str, devices: tuple[int, int]) -> None:
    assert replace(FIRST, chips=chips).devices == devices


def test_grids() -> None:
    row = replace(FIRST, chips="1x WSE-2 grid prefill 660x660 / decode 360x360")
    assert row.grids == (660, 360)
    assert replace(row, chips="2x8 A100").grids == ()
    assert replace(row, chips="grid 0x0").grids == ()


def test_a_note_may_hold_any_character() -> None:
    odd = LINE + "a\u2028b"
    (row,) = parse(f"{HEADER}\n{odd}\n", "mine.csv")
    assert row.notes == "a\u2028b"


def test_a_row_without_an_id_is_told_by_its_line() -> None:
    first, second = parse(f"{HEADER}\n{LINE[2:]}\n{LINE[2:]}\n", "mine.csv")
    assert (first.row_id, second.row_id) == ("mine.csv: line 2", "mine.csv: line 3")


def test_precision_says_how_weights_are_stored_and_multiplied() -> None:
    shape = load_shape("gpt-oss-120b")
    assert stored(shape, "unknown") is shape
    whole = stored(shape, "bf16")
    assert whole.weight_bytes == pytest.approx(2 * whole.total_parameters)
    eight = stored(shape, "fp8")
    assert (eight.activation_bits, eight.kv_bytes_per_element, eight.widened) == (8, 1.0, False)
    assert stored(shape, "int4").widened


def test_a_table_of_the_user_s(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(f"\ufeff{HEADER}\n{LINE}\n")
    (row,) = read_rows(path)
    assert (row.row_id, row.context, row.output, row.users, row.value) == ("r1", 4096, 0, 1, 80.0)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "missing column 'row_id'; expected row_id, system"),
        (HEADER.replace(",klass", ""), "missing column 'klass'"),
        (f"{HEADER}\n{LINE.replace(',80,', ',fast,')}", "line 2: value 'fast'; expected a number"),
        (
            f"{HEADER}\n{LINE.replace(',80,', ',-1,')}",
            "line 2: value '-1'; expected a number from",
        ),
        (f"{HEADER}\n{LINE.replace(',80,', ',nan,')}", "line 2: value 'nan'"),
        (
            f"{HEADER}\n{LINE}\n{LINE.replace('4096', '4k')}",
            "line 3: context_in '4k'; expected a w",
        ),
        (f"{HEADER}\n{LINE.replace('4096', '-4')}", "line 2: context_in '-4'"),
        (f"{HEADER}\n{LINE.replace('4096', '1.5')}", "line 2: context_in '1.5'"),
        (f"{HEADER}\n{LINE.replace(',80,', ',1e-300,')}", "line 2: value '1e-300'; expected"),
        (f"{HEADER}\n{'x' * 140_000}", "line 1: field larger than field limit"),
        (f"{HEADER}\nr1", "line 2: value ''; expected a number"),
    ],
)
def test_a_bad_table_names_line_and_cure(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=f"mine.csv: {problem}"):
        parse(text, "mine.csv")


def test_no_table(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*: No such file"):
        read_rows(tmp_path / "none.csv")
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not text in UTF-8; give a CSV file"):
        read_rows(binary)
    binary.write_bytes(b"x" * (MAX_FILE_BYTES + 1))
    with pytest.raises(UsageError, match="longer than 4000000 bytes"):
        read_rows(binary)
