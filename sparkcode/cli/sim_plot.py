"""``sparkcode sim --plot FILE``: four pictures of one configuration, through matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sparkcode.errors import UsageError

if TYPE_CHECKING:
    from sparkcode.wafer.chip import Chip
    from sparkcode.wafer.shape import ModelShape
    from sparkcode.wafer.simulate import Turn

SUFFIXES: Final = (".png", ".svg")
CONTEXTS: Final = tuple(2**power for power in range(8, 24))


def check_target(path: Path) -> None:
    """UsageError for a file that cannot be a picture, before anything is computed."""
    if path.suffix not in SUFFIXES:
        raise UsageError(f"--plot {str(path)!r}: expected a name that ends in .png or .svg")
    if not path.parent.is_dir():
        raise UsageError(f"--plot {str(path)!r}: there is no folder {str(path.parent)!r}")


def plot(path: Path, chip: Chip, shape: ModelShape, turn: Turn, users: int) -> None:
    """Draw and write the file whole or not at all. UsageError without matplotlib."""
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise UsageError(
            "--plot needs matplotlib: pip install 'sparkcode[plots]', or leave it out"
        ) from error
    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "sparkcode"
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 8), layout="constrained")
    axes = figure.subplots(2, 2)
    figure.suptitle(f"{shape.name} on {chip.name}, simulated")
    _roofline(axes[0][0], chip, shape, users, turn.prompt)
    _contexts(axes[0][1], chip, shape)
    _pareto(axes[1][0], chip, shape, turn)
    _distribution(axes[1][1], chip, shape, turn)
    part = path.with_name(f".{path.name}.part")
    try:
        figure.savefig(part, format=path.suffix[1:], metadata=_undated(path))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _undated(path: Path) -> dict[str, Any]:
    """So that the same configuration gives the same file."""
    return {"Date": None} if path.suffix == ".svg" else {}


def _roofline(axes: Any, chip: Chip, shape: ModelShape, users: int, context: int) -> None:
    from sparkcode.wafer.curves import operators

    found = operators(shape, users=users, context=context)
    ridge = chip.peak_flops / chip.memory_bandwidth
    low = min([ridge / 10, *(each.intensity for each in found)]) / 2
    high = max([ridge * 10, *(each.intensity for each in found)]) * 2
    roof = [chip.memory_bandwidth * low, chip.peak_flops, chip.peak_flops]
    axes.loglog([low, ridge, high], roof, color="black", linewidth=1)
    for each in found:
        reach = min(chip.peak_flops, chip.memory_bandwidth * each.intensity)
        axes.plot([each.intensity], [reach], "o", label=each.name)
    axes.set(
        title=f"Roofline, {users} user{'s' * (users > 1)} at {context:,} tokens",
        xlabel="operations for each byte",
        ylabel="operations a second, of one device",
    )
    axes.legend(fontsize="small")


def _contexts(axes: Any, chip: Chip, shape: ModelShape) -> None:
    from sparkcode.wafer.curves import pace_by_context

    points = pace_by_context(chip, shape, CONTEXTS)
    axes.semilogx([each.x for each in points], [each.y for each in points], marker=".")
    axes.set(
        title="Pace against context",
        xlabel="tokens of context",
        ylabel="tokens a second, one user",
        ylim=(0, None),
    )


def _pareto(axes: Any, chip: Chip, shape: ModelShape, turn: Turn) -> None:
    from sparkcode.wafer.curves import pareto

    points = pareto(chip, shape, turn)
    axes.plot([each.x for each in points], [each.y for each in points], marker=".")
    axes.set(
        title="From one user to many",
        xlabel="tokens a second of each user",
        ylabel="tokens a second of all, for each device",
        xlim=(0, None),
        ylim=(0, None),
    )


def _distribution(axes: Any, chip: Chip, shape: ModelShape, turn: Turn) -> None:
    from sparkcode.wafer.curves import spread_of

    found = spread_of(chip, shape, turn)
    shares = [(at + 1) / len(found) for at in range(len(found))]
    for name, times in (
        ("time to first token", sorted(each.ttft for each in found)),
        ("between two tokens", sorted(each.tpot for each in found)),
    ):
        axes.semilogx([1e3 * each for each in times], shares, drawstyle="steps-post", label=name)
    axes.set(
        title=f"Prompts around {turn.prompt:,}, answers around {turn.output:,} tokens",
        xlabel="milliseconds",
        ylabel="share of turns",
        ylim=(0, 1),
    )
    axes.legend(fontsize="small")
