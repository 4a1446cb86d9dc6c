from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.tui.region_map import AHEAD, HERE, PASSED, bars, picture
from sparkcode.tui.status import cells
from sparkcode.wafer.profile import load_profile

PROFILES = {
    name: load_profile(*name.split("/"))
    for name in (
        *("wse3/gpt-oss-120b", "wse3/llama-3.1-8b", "wse3/kimi-k2", "wse3-turbo/llama-3.1-405b"),
        *("h100/llama-3.1-8b", "h100/llama-3.1-70b", "groq-lpu/llama-3.1-70b"),
    )
}


def signs(name: str, progress: float, width: int = 200, height: int = 100) -> str:
    rows = picture(PROFILES[name].cost, progress, width, height)
    return "".join(text for row in rows for text, _ in row)


@pytest.mark.parametrize("name", ["wse3/gpt-oss-120b", "wse3/llama-3.1-8b", "wse3/kimi-k2"])
@pytest.mark.parametrize("progress", [0.0, 0.4, 0.999])
def test_each_layer_is_a_region(name: str, progress: float) -> None:
    layers = PROFILES[name].shape.num_layers
    here = int(progress * layers)
    drawn = signs(name, progress)
    assert drawn.count(HERE[0]) == 1
    assert drawn.count(PASSED[0]) == here
    assert drawn.count(AHEAD[0]) == layers - here - 1


def test_the_path_turns_at_the_end_of_a_row() -> None:
    rows = picture(PROFILES["wse3/llama-3.1-8b"].cost, 9 / 32, 200, 100)
    # Eight regions a row: the tenth layer is the second from the right in the second row.
    assert [text.strip() for text, _ in rows[1][:8]] == [*"······", "█", "■"]


def test_gpus_share_every_layer() -> None:
    drawn = signs("h100/llama-3.1-70b", 0.5)
    assert [f"#{number}" in drawn for number in (1, 4, 5)] == [True, True, False]
    assert drawn.count(HERE[0]) == 4


@given(
    name=st.sampled_from(sorted(PROFILES)),
    progress=st.floats(0, 1),
    width=st.integers(8, 120),
    height=st.integers(1, 20),
)
def test_any_picture_has_its_height(name: str, progress: float, width: int, height: int) -> None:
    rows = picture(PROFILES[name].cost, progress, width, height)
    assert 1 <= len(rows) <= height


def test_what_does_not_fit_is_counted() -> None:
    assert "… and 1 wafer more" in signs("wse3/kimi-k2", 0.1, 40, 4)
    assert "… and 6 wafers more" in signs("wse3/kimi-k2", 0.1, 40, 3)
    assert "devices more" in signs("groq-lpu/llama-3.1-70b", 0.5, 40, 5)


@pytest.mark.parametrize("progress", [0.0, 0.5, 0.999])
def test_the_token_is_never_out_of_the_picture(progress: float) -> None:
    assert HERE[0] in signs("wse3/kimi-k2", progress, 40, 2)


def test_bars_share_the_room() -> None:
    rows = bars({"rows": 3e-4, "wafer_hops": 1e-4}, 67)
    assert [row[0][0].strip() for row in rows] == ["rows", "wafer hops"]
    assert [row[1][0].strip() for row in rows] == ["300.0 µs", "100.0 µs"]
    assert [len(row[3][0]) for row in rows] == [30, 10]
    assert max(cells(row) for row in rows) <= 67
    assert bars({"nothing": 0.0}, 40)[0][3][0] == ""
