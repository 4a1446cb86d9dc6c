"""The house's own rules: layers, sizes, what an import may cost, and that each fence bites."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "sparkcode"
SOURCES = sorted(PACKAGE.rglob("*.py"))

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_size(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MAX_FILE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < MAX_FUNCTION_LINES, node.name


def loaded_modules(statement: str) -> set[str]:
    """Top-level modules in ``sys.modules`` after ``statement`` in a fresh interpreter."""
    code = f"{statement}\nimport sys\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


HEAVY = {"numpy", "llvmlite", "websockets", "httpx", "tiktoken", "tree_sitter", "uvicorn", "gguf"}


@pytest.mark.parametrize(
    ("statement", "banned"),
    [
        ("import sparkcode.cli.main", HEAVY | {"textual", "msgspec", "asyncio"}),
        # Textual's own TextArea imports tree_sitter where it is installed.
        ("import sparkcode.tui.app", HEAVY - {"tree_sitter"}),
        ("import sparkcode.server.app", {"textual", "numpy", "llvmlite"}),
        ("import sparkcode.assistant.session", HEAVY | {"textual"}),
        ("import sparkcode.model.tokenizer", {"numpy", "textual"}),
        ("import sparkcode.wafer.profile", {"numpy", "textual", "asyncio"}),
        ("import sparkcode.patch.writer", {"numpy", "textual", "asyncio"}),
    ],
)
def test_what_an_import_costs(statement: str, banned: set[str]) -> None:
    assert loaded_modules(statement) & banned == set()


def test_every_package_says_what_it_is_for() -> None:
    for path in PACKAGE.rglob("__init__.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert ast.get_docstring(tree), path


PLANTED = {
    "errors.py": "import sparkcode.clock",
    "wafer/pacer.py": "import asyncio",
    "assistant/turn.py": "import time",
    "engine/base.py": "import sparkcode.protocol.events",
    "assistant/session.py": "import textual",
    "assistant/context.py": "import httpx\nimport numpy",
    "patch/grammar.py": "import sparkcode.patch.writer",
}
"""A line that must not stand there, per file; together they break every contract."""


def lint_imports(folder: Path) -> str:
    """The report of the contracts over the tree in ``folder``."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as m; m()"]
    environ = {**os.environ, "PYTHONPATH": str(folder), "NO_COLOR": "1", "COLUMNS": "200"}
    done = subprocess.run(
        [*command, "--no-cache"],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.stdout + done.stderr


def test_each_contract_fails_on_a_planted_violation(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "sparkcode")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    sound = lint_imports(tmp_path)
    contracts = sound.count(" KEPT")
    assert contracts >= 7
    assert " BROKEN" not in sound
    for name, line in PLANTED.items():
        file = tmp_path / "sparkcode" / name
        file.write_text(f"{file.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")
    assert lint_imports(tmp_path).count(" BROKEN") == contracts
