"""A wheel built from the tree, installed elsewhere and run from another folder, is whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent

PROBE = """
import json, sparkcode
from sparkcode.wafer.chip import chip_names
from sparkcode.wafer.constants import load_calibration
from sparkcode.wafer.published import development_rows
from sparkcode.wafer.shape import shape_names
from sparkcode.model.catalogue import load_catalogue
from sparkcode.tui.theme import load_themes
print(json.dumps({
    "file": sparkcode.__file__,
    "chips": chip_names(),
    "shapes": shape_names(),
    "constants": len(load_calibration().fitted),
    "rows": len(development_rows()),
    "models": list(load_catalogue()),
    "themes": list(load_themes([]).themes),
}))
"""


def pip(*args: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *args]
    subprocess.run(command, check=True, timeout=300, capture_output=True)


def test_a_wheel_has_its_data(tmp_path: Path) -> None:
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path), str(ROOT))
    (wheel,) = tmp_path.glob("*.whl")
    target = tmp_path / "site"
    pip("install", "--no-deps", "--no-compile", "--target", str(target), str(wheel))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        cwd=elsewhere,
        env={**os.environ, "PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found = json.loads(done.stdout)
    assert Path(found["file"]).is_relative_to(target)
    assert {"wse3", "h100"} <= set(found["chips"])
    assert "gpt-oss-120b" in found["shapes"]
    assert (found["constants"], found["rows"]) == (25, 181)
    assert "qwen2.5-coder-0.5b" in found["models"]
    assert {file.stem for file in (ROOT / "themes").glob("*.toml")} == set(found["themes"])
    assert found["themes"]
    assert (target / "sparkcode" / "py.typed").exists()
