"""Waiting for a stream that may have died."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

Got = TypeVar("Got")


async def within(parts: AsyncIterator[Got], seconds: float) -> AsyncGenerator[Got, None]:
    """``parts``, each after at most ``seconds``; TimeoutError when one takes longer."""
    while True:
        try:
            async with asyncio.timeout(seconds):
                part = await anext(parts)
        except StopAsyncIteration:
            return
        yield part
