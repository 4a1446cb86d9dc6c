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


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder in which kernels are compiled once."""
    return tmp_path_factory.mktemp("compiled")
