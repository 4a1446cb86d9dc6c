from __future__ import annotations

from pathlib import Path

import pytest

from sparkcode.model.language_model import LanguageModel, load
from tests.model.tiny import TinyModel


@pytest.fixture(scope="session")
def qwen_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return TinyModel().write(tmp_path_factory.mktemp("qwen") / "tiny-qwen.gguf")


@pytest.fixture(scope="session")
def qwen(qwen_path: Path) -> LanguageModel:
    return load(qwen_path, cache_root=qwen_path.parent / "cache", say=lambda _: None)
