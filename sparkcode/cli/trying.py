"""What a command may spend on a better answer: further links, and a larger model."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from sparkcode.cli.reach import Reach
from sparkcode.config import MAX_TRIES

if TYPE_CHECKING:
    from sparkcode.link.local import LocalDialer
    from sparkcode.link.transport import Dialer, Peer

tries_option = click.option(
    "--tries",
    type=click.IntRange(1, MAX_TRIES),
    metavar="N",
    help="Answers that may be asked for while checks find faults; 1 keeps the first. Default: 4.",
)


class LargerModel:
    """The next larger model of the catalogue whose weights are here, served once it is needed."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._dialer: LocalDialer | None = None

    def __call__(self, peer: Peer) -> Dialer | None:
        """A dialer for it; None behind a URL, beside a scripted engine, or if there is none."""
        if self._reach.url or peer.maker != "spark":
            return None
        if self._dialer is None:
            name = larger_than(peer.model)
            if name is None:
                return None
            from sparkcode.link.local import LocalDialer

            self._dialer = LocalDialer(self._reach.args, name, api_key=self._reach.api_key)
        return self._dialer

    async def close(self) -> None:
        """Stop its engine, if one was started."""
        if self._dialer is not None:
            await self._dialer.close()


def larger_than(model: str) -> str | None:
    """The smallest model of the catalogue that is larger than ``model`` and has its weights here.

    None for a model that the catalogue does not know.
    """
    from sparkcode.model.catalogue import load_catalogue
    from sparkcode.model.store import ModelStore, models_folder

    catalogue, store = load_catalogue(), ModelStore(models_folder(os.environ))
    own = catalogue.get(model)
    if own is None:
        return None
    larger = [entry for entry in catalogue.values() if entry.bytes > own.bytes]
    present = [entry for entry in larger if store.have(entry)]
    return min(present, key=lambda entry: entry.bytes).name if present else None
