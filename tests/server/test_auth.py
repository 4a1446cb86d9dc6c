from __future__ import annotations

import pytest

from sparkcode.errors import UsageError
from sparkcode.server.auth import Gate, gate_for


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.8.8.8"])
def test_a_loopback_server_needs_no_key_and_takes_any(host: str) -> None:
    gate = gate_for(host, "")
    assert gate.refusal({}) is None
    assert gate.refusal({"authorization": "Bearer whatever"}) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com"])
def test_an_open_server_needs_a_key(host: str) -> None:
    with pytest.raises(UsageError, match="api-key"):
        gate_for(host, "")
    assert gate_for(host, "key") == Gate("key")


@pytest.mark.parametrize("given", ["Bearer key", "bearer key", "Bearer  key "])
def test_the_right_key_passes(given: str) -> None:
    assert Gate("key").refusal({"authorization": given}) is None


@pytest.mark.parametrize("given", ["", "key", "Bearer", "Bearer keys", "Basic key", "Bearer kéy"])
def test_another_key_does_not(given: str) -> None:
    refusal = Gate("key").refusal({"authorization": given})
    assert refusal is not None
    assert refusal[0] == 401
    assert refusal[1].code == "invalid_api_key"


@pytest.mark.parametrize("origin", ["https://example.com", "null", "http://[bad", "http://1.2.3.4"])
def test_foreign_origins_are_refused_without_a_key(origin: str) -> None:
    refusal = Gate().refusal({"origin": origin})
    assert refusal is not None
    assert refusal[0] == 403
    assert Gate("k").refusal({"origin": origin, "authorization": "Bearer k"}) is None


@pytest.mark.parametrize("origin", ["http://localhost:80", "http://127.0.0.1", "http://[::1]:1"])
def test_local_origins_pass(origin: str) -> None:
    assert Gate().refusal({"origin": origin}) is None
