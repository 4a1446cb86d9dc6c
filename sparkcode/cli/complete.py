"""``sparkcode complete``: code at a cursor.

stdout is data: the text to insert and nothing else, or one JSON object. Nothing is written to a
file without ``--apply``.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from sparkcode.cli.exec_output import SCHEMA, figures, progress, usage
from sparkcode.cli.reach import LateDialer, Reach, reaches_engine, settings
from sparkcode.errors import EngineError, UsageError

if TYPE_CHECKING:
    from sparkcode.assistant.completion import Completion
    from sparkcode.assistant.workspace import Buffer, Workspace
    from sparkcode.link.transport import Peer
    from sparkcode.protocol.blocks import FileBlock

_PLACE: Final = re.compile(r"(?P<path>.+?):(?P<line>\d{1,9})(?::(?P<column>\d{1,9}))?")


@dataclass(frozen=True, slots=True)
class Job:
    """What the command line asked for."""

    block: FileBlock
    """The file with its cursor."""
    others: tuple[FileBlock, ...]
    line_only: bool
    max_tokens: int | None
    timeout: float | None
    """Seconds for the whole answer; None for no limit."""


@click.command("complete")
@click.argument("place", metavar="FILE:LINE[:COL]")
@click.option("--line", "line_only", is_flag=True, help="End with the line.")
@click.option(
    "--context",
    multiple=True,
    metavar="FILE",
    help="Another file that the model reads; may be repeated.",
)
@click.option("--max-tokens", type=click.IntRange(min=1), metavar="N", help="Longest completion.")
@click.option("--apply", is_flag=True, help="Insert it into the file.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@reaches_engine
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="For the answer.",
)
def complete(
    place: str,
    context: tuple[str, ...],
    max_tokens: int | None,
    timeout: float | None,
    api_key: str,
    script: str | None,
    **flags: Any,
) -> int:
    """Complete the code at a place in a file.

    LINE and COL count from 1, COL in characters: the text goes before that character, without COL
    to the line's end. A completion ends with its block (with its line, where code follows the place
    on the same line), or where it would repeat what follows.

    \b
    sparkcode complete app.py:12
    sparkcode complete app.py:12:9 --context models.py --apply
    """
    from sparkcode.assistant.workspace import Workspace

    line_only, apply, as_json = flags.pop("line_only"), flags.pop("apply"), flags.pop("as_json")
    workspace = Workspace(Path.cwd())
    buffer, block = _open(workspace, place)
    others = _others(workspace, context, block.path)
    if apply:
        workspace.check_writable(block.path)
    _, reach = settings(api_key, script, **flags)
    job = Job(block, others, line_only, max_tokens, timeout)
    completion, peer = asyncio.run(_ask(job, reach))
    return _finish(
        job, completion, peer, as_json=as_json, into=(workspace, buffer) if apply else None
    )


def _open(workspace: Workspace, place: str) -> tuple[Buffer, FileBlock]:
    """The file at ``place``, and its block with the cursor."""
    from sparkcode.assistant.completion import cursor_in

    match = _PLACE.fullmatch(place)
    if match is None:
        raise UsageError(f"{place!r} names no place; it looks like app.py:12 or app.py:12:9")
    buffer = workspace.read(match["path"])
    block = _block(buffer)
    column = None if match["column"] is None else int(match["column"])
    return buffer, replace(block, cursor=cursor_in(block, int(match["line"]), column))


def _others(workspace: Workspace, paths: tuple[str, ...], open_path: str) -> tuple[FileBlock, ...]:
    """The files that are only context, each once."""
    blocks = {(block := _block(workspace.read(path))).path: block for path in paths}
    if open_path in blocks:
        raise UsageError(f"--context {open_path!r}: it is the file to complete")
    return tuple(blocks.values())


def _block(buffer: Buffer) -> FileBlock:
    from sparkcode.protocol.blocks import FileBlock

    return FileBlock(buffer.path, buffer.text, buffer.language)


async def _ask(job: Job, reach: Reach) -> tuple[Completion, Peer]:
    from sparkcode.assistant.completion import complete, completion_request
    from sparkcode.clock import LoopClock

    request = completion_request(
        job.block,
        job.others,
        reach.asked_model,
        line_only=job.line_only,
        max_tokens=job.max_tokens,
    )
    dialer = LateDialer(reach, progress)
    try:
        transport, peer = await dialer.dial()
        try:
            async with asyncio.timeout(job.timeout):
                return await complete(transport, request, LoopClock()), peer
        except TimeoutError:
            raise EngineError(f"no whole answer within {job.timeout:g} s") from None
        finally:
            await transport.close()
    finally:
        await dialer.close()


def _finish(
    job: Job,
    completion: Completion,
    peer: Peer,
    *,
    as_json: bool,
    into: tuple[Workspace, Buffer] | None,
) -> int:
    """Write and print what came back; the exit status."""
    from sparkcode.assistant.completion import inserted, insertion

    block = job.block
    text = insertion(completion, block, line_only=job.line_only)
    if completion.finish == "length":
        progress("note: the completion was cut short at its limit of tokens")
    if into is not None:
        workspace, buffer = into
        workspace.check_unchanged(block.path, buffer.raw)
        workspace.write_atomic(block.path, inserted(block, text).encode())
        progress(f"applied: {block.path} ({len(text)} characters)")
    if as_json:
        click.echo(json.dumps(_row(block, text, completion, peer, into), ensure_ascii=False))
    elif into is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode() + b"\n" * sys.stdout.isatty())
        sys.stdout.buffer.flush()
    return 0


def _row(
    block: FileBlock, text: str, completion: Completion, peer: Peer, into: object
) -> dict[str, Any]:
    assert block.cursor is not None
    return {
        "type": "completion",
        "schema": SCHEMA,
        "path": block.path,
        "line": block.cursor.line,
        "column": block.cursor.column,
        "text": text,
        "finish": completion.finish,
        "applied": into is not None,
        "engine": peer.engine or "responses",
        "model": completion.turn.model or peer.model,
        **figures(completion.stats),
        "usage": usage(completion.turn),
    }
