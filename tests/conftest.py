from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkcode.config import cache_root
from sparkcode.model.language_model import LanguageModel, load

REAL_NAME = "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"


@pytest.fixture(scope="session")
def real_model() -> LanguageModel:
    """The real 0.5B; absent weights are a failure in CI and a skip elsewhere."""
    cache = cache_root(os.environ)
    named = os.environ.get("SPARKCODE_TEST_GGUF")
    path = Path(named) if named else cache / "models" / REAL_NAME
    if not path.exists():
        reason = f"no weights at {path}: run `sparkcode models pull qwen2.5-coder-0.5b`"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return load(path, cache_root=cache, say=lambda _: None)


@pytest.fixture(scope="session", autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Servers that tests start keep nothing in the user's own folders."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield
