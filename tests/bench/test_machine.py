from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from sparkcode.bench import machine
from sparkcode.bench.machine import (
    Target,
    busy_share,
    load_target,
    processor_name,
    versions,
    weight_bytes,
)
from tests.bench.support import EDIT
from tests.model.tiny import TinyModel


def test_loading_by_path(target: Target) -> None:
    found = load_target(str(target.path), 1, lambda _: None)
    assert (found.name, found.threads) == ("tiny", 1)
    assert found.bytes_per_token in (target.bytes_per_token, 4 * found.bytes_per_token)


@pytest.mark.parametrize("speculate", [True, False])
def test_an_engine_is_told_whether_to_draft(target: Target, speculate: bool) -> None:
    engine = target.engine(speculate=speculate)
    assert engine.info.model == "tiny"
    *_, last = engine.generate(EDIT.request(limit=40))
    assert last.usage is not None
    assert (last.usage.drafted_tokens > 0) == speculate


def test_bytes_that_a_token_reads(
    tmp_path: Path, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARKCODE_CACHE", str(tmp_path))
    tied = weight_bytes(target.path, expanded=True)
    apart = TinyModel(context=4096, tied=False).write(tmp_path / "apart.gguf")
    assert weight_bytes(apart, expanded=True) == tied  # one of the two is read by rows
    assert tied % 4 == 0
    assert 0 < weight_bytes(apart, expanded=False) < tied


def test_the_processor(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nmodel name\t: Fast One\n")
    assert processor_name(info) == "Fast One"
    assert processor_name(tmp_path / "absent")


def test_what_others_use(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 0 0 100 0\ncpu0 1\n")
    assert busy_share(lambda _: None, stat) == 0.0
    assert busy_share(lambda _: _later(stat, "cpu  130 0 0 160 10\n"), stat) == pytest.approx(0.3)
    assert busy_share(lambda _: None, tmp_path / "absent") == 0.0


def _later(stat: Path, text: str) -> None:
    stat.write_text(text)


def test_versions_name_what_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(versions()) == {"sparkcode", "python", "numpy", "llvmlite"}
    monkeypatch.setattr(machine, "version", _absent)
    assert versions()["llvmlite"] == "absent"


def _absent(package: str) -> str:
    raise PackageNotFoundError(package)
