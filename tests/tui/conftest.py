from __future__ import annotations

from pathlib import Path

import pytest

from tests.tui.support import CALC


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A workspace with one Python file."""
    (tmp_path / "calc.py").write_text(CALC)
    return tmp_path
