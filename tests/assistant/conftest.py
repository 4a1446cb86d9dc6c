from __future__ import annotations

from pathlib import Path

import pytest

from tests.assistant.rig import CALC


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "calc.py").write_text(CALC)
    return tmp_path
