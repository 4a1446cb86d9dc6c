"""``sparkcode race A B``: one turn on two chips or engines, side by side."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sparkcode.cli.shapes import shape_of
from sparkcode.cli.turn_options import MAX_TOKENS, OUTPUT_TOKENS, Number, turn_options
from sparkcode.config import API_KEY_ENV
from sparkcode.errors import UsageError

if TYPE_CHECKING:
    from sparkcode.bench.measured import Measured
    from sparkcode.wafer.simulate import Turn
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
    type=Number(0.001, 1000.0),
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
    second (`50`), or the URL of an engine that runs, which is asked and measured first; the others
    then run the turn that it did. Without a terminal the table is printed.

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
    turn, found = _ran(lanes, wanted, flags)
    if as_json:
        click.echo(json.dumps(facts(found, turn, flags["transport"])))
    elif sys.stdout.isatty() and sys.stdin.isatty():
        _show(found, pieces, turn, speed=speed, theme=theme)
    else:
        click.echo("\n".join(table(found, turn)))
    return 0


def _ran(lanes: Sequence[str], output: int, flags: dict[str, Any]) -> tuple[Turn, list[Timeline]]:
    """The turn that all lanes ran, and how each did.

    What engines that were asked really read and wrote is the turn of the others: as long a prompt,
    and as many tokens as the one that wrote the fewest.
    """
    from sparkcode.wafer.network import TRANSPORTS
    from sparkcode.wafer.simulate import Turn
    from sparkcode.wafer.timeline import asked, play

    # All that can be said of a lane's name is said before an engine is kept busy.
    named = {lane: asked(lane, flags["model"], shape_of) for lane in lanes if not _is_url(lane)}
    measured = {lane: _measured(lane, output, flags) for lane in lanes if _is_url(lane)}
    context, cached = flags["context"], flags["cached"]
    if measured:
        output = min(len(each.timeline.times) for each in measured.values())
        first = next(iter(measured.values()))
        context, cached = first.prompt or context, first.cached if first.prompt else cached
    if cached > context:
        raise UsageError(f"--cached {cached} is more than --context {context}; use fewer")
    turn = Turn(context, output, cached)
    over = TRANSPORTS[flags["transport"]]
    return turn, [
        measured[lane].timeline.cut(output) if lane in measured else play(named[lane], turn, over)
        for lane in lanes
    ]


def _is_url(lane: str) -> bool:
    return lane.startswith(("http://", "https://", "ws://", "wss://"))


def _measured(url: str, output: int, flags: dict[str, Any]) -> Measured:
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
    turn: Turn,
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
    title = f"race: prompt of {turn.prompt:,} tokens, {how}"
    RaceApp(tracks, title, speed=speed, theme=config.theme).run()


def facts(found: Sequence[Timeline], turn: Turn, transport: str) -> dict[str, Any]:
    """Seconds, tokens a second, joules; ratios are the slowest lane's over the fastest's."""
    ranked = sorted(found, key=lambda each: each.seconds)
    first, last = ranked[0], ranked[-1]
    return {
        "context": turn.prompt,
        "cached": turn.cached,
        "output": turn.output,
        "transport": transport,
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


def table(found: Sequence[Timeline], turn: Turn) -> Iterator[str]:
    best = min(each.seconds for each in found)
    width = max(12, *(len(each.name) for each in found)) + 1
    yield f"prompt of {turn.prompt:,} tokens, {turn.cached:,} cached; answer of {turn.output:,}"
    yield f"{'':<{width}} {'TTFT':>12} {'tok/s':>9} {'whole':>12} {'J/token':>9}"
    for each in found:
        joules = f"{each.joules_per_token:.2f}" if each.joules_per_token is not None else "-"
        behind = each.seconds / best
        note = "first" if behind == 1 else f"{behind:.1f} x as long"
        if not each.simulated:
            note += ", measured"
        yield (
            f"{each.name:<{width}} {each.ttft * 1e3:>9.1f} ms {each.tokens_per_second:>9,.0f} "
            f"{each.seconds:>10.3f} s {joules:>9}    {note}"
        )
