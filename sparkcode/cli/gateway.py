"""``sparkcode serve --engine upstream``: the options of a gateway, and its engine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from sparkcode.errors import UsageError

if TYPE_CHECKING:
    from sparkcode.clock import Clock
    from sparkcode.upstream.completions import ChatUpstream
    from sparkcode.upstream.responses import ResponsesUpstream

    Upstream = ChatUpstream | ResponsesUpstream

Wire = Literal["ws", "responses", "chat"]
WIRES = ("ws", "responses", "chat")
MAX_KEY_BYTES = 16 * 1024

_OPTIONS = (
    click.option("--upstream", metavar="URL", help="The server that --engine upstream asks."),
    click.option(
        "--wire",
        type=click.Choice(WIRES),
        help="How it is asked. ws (default): the Responses API over a WebSocket, or over HTTP "
        "where it has none; responses: over HTTP; chat: chat completions.",
    ),
    click.option(
        "--upstream-key-file",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Holds its key; default: the environment's SPARKCODE_UPSTREAM_API_KEY.",
    ),
    click.option(
        "--upstream-timeout",
        type=click.FloatRange(1, 3600),
        metavar="SECONDS",
        help="How long it may say nothing.  [default: 120]",
    ),
    click.option(
        "--upstream-stateful",
        is_flag=True,
        help="It keeps responses: over HTTP too, send only what is new.",
    ),
    click.option(
        "--upstream-tools",
        type=click.Choice(["auto", "custom", "function"]),
        help="What it knows. auto: custom tools over ws, until it refuses one.",
    ),
)


@dataclass(frozen=True, slots=True)
class Gateway:
    """What the command line says of the server behind."""

    url: str
    wire: Wire = "ws"
    key_file: Path | None = None
    timeout: float | None = None
    """Seconds."""
    stateful: bool = False
    tools: str = "auto"


def upstream_options(command: Any) -> Any:
    """Adds the options of a gateway."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def gateway_of(flags: dict[str, Any]) -> Gateway | None:
    """Takes a gateway's options out of ``flags``; UsageError if they lack the URL.

    ``--upstream`` alone means ``--engine upstream``.
    """
    url, wire = flags.pop("upstream"), flags.pop("wire")
    key_file, timeout = flags.pop("upstream_key_file"), flags.pop("upstream_timeout")
    stateful, tools = flags.pop("upstream_stateful"), flags.pop("upstream_tools")
    if url is None:
        if wire or key_file or timeout or stateful or tools:
            raise UsageError("--wire and --upstream-... need --upstream URL")
        return None
    if flags["engine"] not in (None, "upstream"):
        raise UsageError(f"--upstream needs --engine upstream, not {flags['engine']!r}")
    flags["engine"] = "upstream"
    return Gateway(url, wire or "ws", key_file, timeout, stateful, tools or "auto")


def open_gateway(
    gateway: Gateway, model: str, environ: Mapping[str, str], clock: Clock
) -> Upstream:
    """The engine; UsageError for a URL or a key that cannot be used."""
    from sparkcode.link.chat import ChatClient
    from sparkcode.link.dialer import SseDialer, UrlDialer, checked_key
    from sparkcode.link.transport import Endpoint, base_url
    from sparkcode.upstream.completions import ChatUpstream
    from sparkcode.upstream.faults import UPSTREAM_KEY_ENV
    from sparkcode.upstream.responses import ResponsesUpstream
    from sparkcode.upstream.terms import SILENCE_SECONDS, Model, Terms

    key = checked_key(_key(gateway.key_file, environ, UPSTREAM_KEY_ENV), UPSTREAM_KEY_ENV)
    endpoint = Endpoint(base_url(gateway.url), key, UPSTREAM_KEY_ENV)
    terms = Terms(
        endpoint.url,
        Model(endpoint, model),
        key,
        gateway.timeout or SILENCE_SECONDS,
        {"custom": True, "function": False}.get(gateway.tools),
        gateway.stateful,
    )
    if gateway.wire == "chat":
        return ChatUpstream(ChatClient(endpoint), terms)
    if gateway.wire == "responses":
        return ResponsesUpstream(SseDialer(endpoint), terms, clock)
    return ResponsesUpstream(UrlDialer(gateway.url, key, key_env=UPSTREAM_KEY_ENV), terms, clock)


def _key(path: Path | None, environ: Mapping[str, str], name: str) -> str:
    if path is None:
        return environ.get(name, "")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_KEY_BYTES + 1)
        key = content.decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = os.strerror(error.errno or 0) if isinstance(error, OSError) else "not text"
        raise UsageError(f"--upstream-key-file {str(path)!r} cannot be read: {reason}") from error
    if not key or len(content) > MAX_KEY_BYTES:
        raise UsageError(f"--upstream-key-file {str(path)!r} holds no key; it is one line of text")
    return key
