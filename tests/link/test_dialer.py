"""The key that a dialer accepts; its wires are in test_websocket and test_sse."""

from __future__ import annotations

import pytest

from sparkcode.errors import UsageError
from sparkcode.link.dialer import UrlDialer


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "schlüssel"])
def test_a_key_that_cannot_be_a_header_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(UsageError, match="MY_KEY") as caught:
        UrlDialer("h:1", key, key_env="MY_KEY")
    assert key not in str(caught.value)
