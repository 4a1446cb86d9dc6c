from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sparkcode.bench.figures import Passes
from sparkcode.bench.peer import Peer, peer_command
from sparkcode.errors import EngineError, UsageError
from tests.bench.support import peer_of


def test_it_loads_runs_and_scores(tmp_path: Path) -> None:
    with Peer(peer_of(tmp_path)) as peer:
        peer.load(tmp_path / "x.gguf", threads=2, context=100)
        assert peer.version == "9.9"
        assert peer.run([1] * 300, [2] * 64) == Passes(2.0, 2.5, 4.0)
        assert peer.score([1, 2]) == 1.5


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("raise SystemExit('no such module')", "ended without an answer: no such module"),
        ("raise SystemExit(3)", "ended without an answer: exit status 3"),
        ("input(); print('hello', flush=True)", "ended without an answer"),
        ("input(); print('[]', flush=True)", r"failed: it answered \[\]"),
        ("""input(); print('{"error": "bad file"}', flush=True)""", "the peer failed: bad file"),
        ("""input(); print('{"nll_per_token": "x"}', flush=True)""", "nll_per_token = 'x'"),
        ("""input(); print('{"nll_per_token": NaN}', flush=True)""", "nll_per_token = nan"),
    ],
)
def test_a_peer_that_fails_is_one_line(tmp_path: Path, script: str, said: str) -> None:
    with Peer(peer_of(tmp_path, script)) as peer, pytest.raises(EngineError, match=said):
        peer.score([1, 2])


def test_a_peer_that_hangs_is_ended(tmp_path: Path) -> None:
    command = peer_of(tmp_path, "import time; time.sleep(60)")
    with (
        Peer(command, limit=0.1) as peer,
        pytest.raises(EngineError, match="exit status -9"),
    ):
        peer.score([1, 2])


def test_it_ends_with_its_context(tmp_path: Path) -> None:
    with Peer(peer_of(tmp_path)) as peer:
        process = peer._process
        assert process.poll() is None
    assert process.returncode is not None


def test_what_cannot_be_started(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no Python interpreter"):
        peer_command(tmp_path / "absent")
    with pytest.raises(EngineError, match="cannot start the peer"):
        Peer([str(tmp_path / "absent")])
    assert peer_command(None)[0] == sys.executable
    assert peer_command(Path(sys.executable))[0] == sys.executable


def test_the_shipped_peer_needs_only_its_library(tmp_path: Path) -> None:
    """Run by an interpreter whose llama_cpp is a stand-in, with nothing of this project."""
    (tmp_path / "llama_cpp.py").write_text(STAND_IN)
    script = peer_command(None)[-1]
    start = f"import sys, runpy; sys.path.insert(0, {str(tmp_path)!r}); "
    command = [
        sys.executable,
        "-I",
        "-c",
        f"{start}runpy.run_path({script!r}, run_name='__main__')",
    ]
    with Peer(command) as peer:
        peer.load(Path("some.gguf"), threads=1, context=8, logits=True)
        assert peer.version == "0"
        assert peer.run([1, 2], [3]).decode_seconds > 0
        assert peer.score([0, 1, 0]) == pytest.approx(1.0986, abs=1e-3)
        with pytest.raises(EngineError, match="too long"):
            peer.run([1] * 9, [3])
    assert subprocess.run(command, input="", text=True, check=False).returncode == 0


STAND_IN = """
import ctypes
import numpy as np

__version__ = "0"


def llama_print_system_info():
    return b"none"


def llama_get_logits_ith(ctx, index):
    return ctypes.cast((ctypes.c_float * 3)(), ctypes.POINTER(ctypes.c_float))


class Llama:
    def __init__(self, path, n_ctx, **options):
        print("a line that is no answer")
        self.ctx, self.n_ctx = None, n_ctx
        self.scores = np.zeros((n_ctx, 3), np.float32)

    def n_vocab(self):
        return 3

    def reset(self):
        pass

    def eval(self, ids):
        if len(ids) > self.n_ctx:
            raise ValueError("too long")
"""
