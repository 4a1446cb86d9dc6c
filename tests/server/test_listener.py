from __future__ import annotations

import asyncio
import os
import signal
import socket

import pytest

from sparkcode.clock import LoopClock
from sparkcode.errors import SparkError
from sparkcode.server.app import create_app
from sparkcode.server.auth import Gate
from sparkcode.server.hub import Hub, run_inline
from sparkcode.server.listener import Listener, base_url, bind, start_listening, stop_on_signals
from sparkcode.server.service import Service
from tests.server.support import StepEngine


def test_a_free_port_and_its_url() -> None:
    with bind("127.0.0.1", 0) as bound:
        start_listening(bound)
        assert base_url(bound) == f"http://127.0.0.1:{bound.getsockname()[1]}/v1"


def test_a_port_in_use_is_named() -> None:
    with bind("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        start_listening(first)
        with pytest.raises(SparkError, match=f"127.0.0.1:{port}: the port is in use"):
            bind("127.0.0.1", port)


def test_of_two_that_bound_the_same_port_one_may_listen() -> None:
    with bind("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with bind("127.0.0.1", port) as second:
            start_listening(second)
            with pytest.raises(SparkError, match="the port is in use"):
                start_listening(first)


def test_an_address_that_is_not_ours() -> None:
    with pytest.raises(SparkError, match=r"cannot listen on 203\.0\.113\.1:0"):
        bind("203.0.113.1", 0)


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_the_url_of_an_ipv6_address() -> None:
    try:
        bound = bind("[::1]", 0)
    except SparkError:
        pytest.skip("no IPv6 loopback here")
    with bound:
        assert base_url(bound).startswith("http://[::1]:")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signals_stop_it(number: signal.Signals) -> None:
    hub = Hub(StepEngine(), pace="max", clock=LoopClock(), run_step=run_inline)
    ready = asyncio.Event()
    with bind("127.0.0.1", 0) as bound:
        start_listening(bound)
        app = create_app(Service(hub, lambda: 0.0), Gate())
        listener = Listener(app, bound, ready.set)
        with stop_on_signals(listener) as came:
            running = asyncio.create_task(listener.run_until_stopped())
            await ready.wait()
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)
            await asyncio.wait_for(running, 10)
    assert came[0] == number
    assert listener.force_exit == (len(came) > 1)
