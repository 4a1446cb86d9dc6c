"""``sparkcode race A B``: one turn on two chips or engines, side by side."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sparkcode.cli.turn_options import MAX_TOKENS, OUTPUT_TOKENS, turn_options
from sparkcode.config import API_KEY_ENV
from sparkcode.errors import UsageError

if TYPE_CHECKING:
    from sparkcode.wafer.timeline import Timeline

MAX_TEXT_BYTES = 4_000_000

SAMPLE = '''\
The loop adds what `sum` adds, and an empty list gives 0 in both. I would keep the guard for `None`
and let the rest go:

```python
def total(items: Iterable[float] | None) -> float:
    """The sum of all items; 0 for none."""
    if items is None:
        return 0.0
    return sum(items)
```

Two callers pass a generator that they read again afterwards; with the loop it was empty by then
already, so nothing changes for them. The test for an empty list stays as it is, and one for `None`
is new:

```python
def test_none_is_zero() -> None:
    assert total(None) == 0.0
```
'''
"""What the lanes write where no text is given."""


@click.command("race")
@click.argument("lanes", nargs=-1, required=True, metavar="A B")
@click.option("--model", metavar="NAME|FILE", help="Shape for chips that name none.")
@turn_options
@click.option(
    "--output",
    type=click.IntRange(1, MAX_TOKENS),
    metavar="TOKENS",
    help=f"Of the answer.  [default: the text's, else {OUTPUT_TOKENS}]",
)
@click.option(
    "--text",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="What the lanes write.",
)
@click.option("--ask", metavar="TEXT", help="What engines are asked.")
@click.option("--api-key", default="", envvar=API_KEY_ENV, help=f"Also from {API_KEY_ENV}.")
@click.option(
    "--speed",
    type=click.FloatRange(0.001, 1000.0),
    default=1.0,
    show_default=True,
    help="Of the screen, against real time.",
)
@click.option("--theme", metavar="NAME", help="Colours; see `sparkcode themes list`.")
@click.option("--json", "as_json", is_flag=True, help="No screen; one JSON object.")
def race(
    lanes: tuple[str, ...], *, speed: float, theme: str | None, as_json: bool, **flags: Any
) -> int:
    """Replay one turn side by side, each lane at its own pace.

    A lane is a chip (`wse3`, `h100`), a chip with a model (`wse3/llama-3.1-8b`), a pace in tokens a
    second (`50`), or the URL of an engine that runs, which is asked and measured first. Without a
    terminal the table is printed.

    \b
    sparkcode race wse3 h100
    sparkcode race wse3/llama-3.1-70b h100/llama-3.1-70b --context 30000
    sparkcode race http://127.0.0.1:8900/v1 50
    """
    if len(lanes) not in (2, 3, 4):
        raise UsageError(
            f"{len(lanes)} lanes; expected two to four, as in `sparkcode race wse3 h100`"
        )
    pieces = _pieces(flags["text"])
    wanted = flags["output"] or (len(pieces) if flags["text"] else OUTPUT_TOKENS)
    found = [_timeline(lane, wanted, flags) for lane in lanes]
    if as_json:
        click.echo(json.dumps(facts(found, flags, wanted)))
    elif sys.stdout.isatty() and sys.stdin.isatty():
        _show(found, pieces, flags, speed=speed, theme=theme)
    else:
        click.echo("\n".join(table(found)))
    return 0


def _timeline(lane: str, output: int, flags: dict[str, Any]) -> Timeline:
    from sparkcode.wafer.network import TRANSPORTS
    from sparkcode.wafer.simulate import Turn
    from sparkcode.wafer.timeline import play

    if lane.startswith(("http://", "https://", "ws://", "wss://")):
        return _measured(lane, output, flags)
    turn = Turn(flags["context"], output, flags["cached"])
    if turn.cached > turn.prompt:
        raise UsageError(f"--cached {turn.cached} is more than --context {turn.prompt}; use fewer")
    return play(lane, turn, model=flags["model"], over=TRANSPORTS[flags["transport"]])


def _measured(url: str, output: int, flags: dict[str, Any]) -> Timeline:
    import asyncio

    from sparkcode.bench.measured import QUESTION, measure

    click.echo(f"asking {url} ...", err=True)
    return asyncio.run(measure(url, flags["api_key"], flags["ask"] or QUESTION, output))


def _pieces(path: Path | None) -> list[str]:
    from sparkcode.assistant.plain import plain
    from sparkcode.engine.scripted import pieces

    if path is None:
        return pieces(SAMPLE)
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_TEXT_BYTES + 1)
        text = plain(raw.decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text in UTF-8"
        raise UsageError(f"cannot read {str(path)!r}: {reason}; give a text file") from error
    if len(raw) > MAX_TEXT_BYTES:
        raise UsageError(f"{path}: longer than {MAX_TEXT_BYTES} bytes; give a shorter text")
    if not text.strip():
        raise UsageError(f"{path}: empty; give a text file with an answer in it")
    return pieces(text)


def _show(
    found: Sequence[Timeline],
    pieces: list[str],
    flags: dict[str, Any],
    *,
    speed: float,
    theme: str | None,
) -> None:
    from sparkcode.config import config_files, load_config
    from sparkcode.tui.race import RaceApp
    from sparkcode.tui.track import Track

    config, _ = load_config(config_files(Path.cwd()), os.environ, {"theme": theme})
    tracks = [Track(timeline, pieces) for timeline in found]
    how = "simulated" if all(each.simulated for each in found) else "simulated and measured"
    title = f"race: prompt of {flags['context']:,} tokens, {how}"
    RaceApp(tracks, title, speed=speed, theme=config.theme).run()


def facts(found: Sequence[Timeline], flags: dict[str, Any], output: int) -> dict[str, Any]:
    """Seconds, tokens a second, joules; ratios are the slowest lane's over the fastest's."""
    ranked = sorted(found, key=lambda each: each.seconds)
    first, last = ranked[0], ranked[-1]
    return {
        "context": flags["context"],
        "cached": flags["cached"],
        "output": output,
        "transport": flags["transport"],
        "lanes": [
            {
                "name": each.name,
                "simulated": each.simulated,
                "ttft": each.ttft,
                "tokens_per_second": each.tokens_per_second,
                "seconds": each.seconds,
                "tokens": len(each.times),
                "joules_per_token": each.joules_per_token,
            }
            for each in found
        ],
        "winner": first.name,
        "ratio": {
            "ttft": last.ttft / first.ttft,
            "tokens_per_second": first.tokens_per_second / last.tokens_per_second,
            "seconds": last.seconds / first.seconds,
        },
    }


def table(found: Sequence[Timeline]) -> Iterator[str]:
    best = min(each.seconds for each in found)
    width = max(12, *(len(each.name) for each in found)) + 2
    yield f"{'':<{width}}{'TTFT':>12}{'tok/s':>10}{'whole':>12}{'J/token':>10}{'':>4}"
    for each in found:
        joules = f"{each.joules_per_token:.2f}" if each.joules_per_token is not None else "-"
        behind = each.seconds / best
        note = "first" if behind == 1 else f"{behind:.1f} x as long"
        if not each.simulated:
            note += ", measured"
        yield (
            f"{each.name:<{width}}{each.ttft * 1e3:>9.1f} ms{each.tokens_per_second:>10,.0f}"
            f"{each.seconds:>10.3f} s{joules:>10}    {note}"
        )
