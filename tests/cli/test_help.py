from __future__ import annotations

import re
from pathlib import Path

from sparkcode.cli.help_ import wafer_page
from sparkcode.cli.main import cli
from tests.cli.scripted import invoke

README = Path(__file__).parents[2] / "README.md"


def test_the_page_on_the_wafer_fits_its_lines_and_has_the_figures() -> None:
    status, page, _ = invoke(cli, ["help", "wafer"])
    assert status == 0
    assert page.rstrip() == wafer_page()
    assert max(len(line) for line in page.splitlines()) <= 100
    assert "{" not in page
    for text in ("25 constants", "15 classes", "wse3_decode", "What it cannot know"):
        assert text in page


def test_the_readme_states_the_figures_that_it_has_now() -> None:
    page = " ".join(wafer_page().split())
    readme = " ".join(README.read_text().split())
    told = re.search(r"over classes is ([\d.]+ %), the median over rows ([\d.]+ %)", page)
    assert told
    assert f"the mean error is {told[1]}, over rows the median {told[2]}" in readme
    left_out = re.search(r"not in the table, the mean is ([\d.]+ %)", page)
    assert left_out
    assert f"with each model left out in turn, the mean is {left_out[1]}" in readme


def test_topics_commands_and_neither() -> None:
    _, overview, _ = invoke(cli, ["help"])
    assert "Topics:" in overview
    assert "Commands:" in overview
    _, race, _ = invoke(cli, ["help", "race"])
    assert "side by side" in race
    status, _, stderr = invoke(cli, ["help", "eliza"])
    assert status == 2
    assert "no topic or command 'eliza'; topics are: wafer" in stderr
