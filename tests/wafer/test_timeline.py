from __future__ import annotations

from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.errors import UsageError
from sparkcode.wafer.network import HTTP, TRANSPORTS, WEBSOCKET, Transport
from sparkcode.wafer.profile import Profile, load_profile
from sparkcode.wafer.simulate import Turn, simulate
from sparkcode.wafer.timeline import Timeline, asked, at_pace, play, timeline

TURN = Turn(2000, 120)


@pytest.mark.parametrize("name", ["wse3", "wse3/llama-3.1-70b", "h100", "h100/llama-3.1-8b", "50"])
@pytest.mark.parametrize("over", list(TRANSPORTS.values()), ids=lambda each: each.name)
def test_tokens_come_in_order_and_all_of_them(name: str, over: Transport) -> None:
    found = play(asked(name), TURN, over)
    assert len(found.times) == 120
    assert all(earlier <= later for earlier, later in pairwise(found.times))
    assert found.ttft > 0


@pytest.mark.parametrize("name", ["wse3/gpt-oss-120b", "wse3/llama-3.1-70b", "h100/llama-3.1-8b"])
def test_as_simulated(name: str) -> None:
    profile = load_profile(*name.split("/"))
    stated = simulate(profile.chip, profile.shape, TURN)
    found = timeline(profile, TURN)
    assert found.ttft == pytest.approx(stated.ttft)
    assert found.tokens_per_second == pytest.approx(stated.tokens_per_second, rel=0.03)
    assert found.joules_per_token == pytest.approx(stated.joules_per_token, rel=0.01)


def test_drafts_come_in_bursts() -> None:
    found = play(asked("wse3/llama-3.1-70b"), TURN)
    bursts = [len([at for at in found.times if at == when]) for when in set(found.times[1:-3])]
    assert max(bursts) == 3
    assert 2.5 < sum(bursts) / len(bursts) < 3.1


def test_a_plain_pace() -> None:
    found = at_pace(50, Turn(10, 100))
    assert (found.name, found.ttft) == ("50 tok/s", 0.02)
    assert found.seconds == pytest.approx(2.0)
    assert found.tokens_per_second == pytest.approx(50)
    assert found.joules_per_token is None
    assert at_pace(50, Turn(10, 1)).tokens_per_second == pytest.approx(50)


@given(now=st.floats(-1, 10), times=st.lists(st.floats(0, 9), min_size=1).map(sorted))
def test_what_is_seen(now: float, times: list[float]) -> None:
    assert Timeline("any", times).seen(now) == sum(at <= now for at in times)


@pytest.mark.parametrize(
    ("text", "chip", "model"),
    [
        ("wse3", "wse3", "gpt-oss-120b"),
        ("h100/llama-3.1-8b", "h100", "llama-3.1-8b"),
    ],
)
def test_what_a_name_means(text: str, chip: str, model: str) -> None:
    found = asked(text)
    assert isinstance(found, Profile)
    assert (found.chip.name, found.shape.name) == (chip, model)


def test_a_model_for_those_that_name_none() -> None:
    found = asked("wse3", "llama-3.1-8b")
    assert isinstance(found, Profile)
    assert found.name == "wse3/llama-3.1-8b"
    assert asked("12.5") == 12.5


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("abacus", "unknown chip 'abacus'"),
        ("wse3/eliza", "unknown model 'eliza'"),
        ("0", "0 tokens a second; expected from 0.1"),
        ("1000000", "1000000 tokens a second; expected from 0.1 to 100,000"),
        ("-5", "unknown chip '-5'"),
        ("", "unknown chip ''"),
    ],
)
def test_what_means_nothing(text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        asked(text)


def test_longer_than_the_profile_holds() -> None:
    with pytest.raises(UsageError, match="use a shorter --context"):
        play(asked("wse3"), Turn(200_000, 10))


def test_the_ratios_that_openai_told() -> None:
    assert WEBSOCKET.turn / HTTP.turn == pytest.approx(0.2)
    assert WEBSOCKET.token / HTTP.token == pytest.approx(0.7)
    assert WEBSOCKET.before_first(100_000) == WEBSOCKET.before_first(0)
    assert HTTP.before_first(100_000) > HTTP.before_first(0)


def test_times_to_first_token_come_out_halved_where_little_is_read() -> None:
    turn = Turn(8000, 10, 7800)
    http, socket = (play(asked("wse3"), turn, each).ttft for each in (HTTP, WEBSOCKET))
    assert socket < 0.5 * http


def test_a_long_turn_finds_room() -> None:
    found = play(asked("wse3/llama-3.1-70b"), Turn(100_000, 50))
    assert found.ttft > 2


def test_chips_and_models_of_the_user_s(tmp_path: Path) -> None:
    chip, model = tmp_path / "mine.toml", tmp_path / "model.toml"
    data = files("sparkcode.wafer")
    chip.write_text(data.joinpath("chips/wse3.toml").read_text())
    model.write_text(data.joinpath("models/llama-3.1-8b.toml").read_text())
    names = [f"{chip}", f"wse3/{model}", "WSE-3/llama3.1-8b"]
    found = [asked(text) for text in names]
    assert [each.name for each in found if isinstance(each, Profile)] == [
        "mine/gpt-oss-120b",
        "wse3/model",
        "wse3/llama-3.1-8b",
    ]


def test_the_first_tokens_of_a_timeline() -> None:
    found = at_pace(50, Turn(10, 100)).cut(10)
    assert len(found.times) == 10
    assert found.seconds == pytest.approx(0.2)
