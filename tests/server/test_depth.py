"""Deeply nested JSON over HTTP is a bad request wherever it is, and never a fault of the server."""

from __future__ import annotations

import base64

import httpx
import pytest

from tests.server.support import StepEngine, running, words


@pytest.mark.parametrize("levels", [250, 900, 5000, 100_000])
def test_deep_json_is_a_bad_request(levels: int) -> None:
    deep = "[" * levels + "]" * levels
    content = base64.b64encode(f'[["user","x",{deep}]]'.encode()).decode()
    compaction = f'{{"type":"compaction","encrypted_content":"{content}"}}'
    with (
        running(StepEngine(words("a"))) as (url, _),
        httpx.Client(base_url=url, trust_env=False) as client,
    ):
        for path in ("/responses", "/responses/compact"):
            for body in (
                deep,
                f'{{"model":"spark","input":"x","metadata":{{"a":{deep}}}}}',
                f'{{"model":"spark","input":"x","unknown":{deep}}}',
                f'{{"model":"spark","input":[{{"type":"message","content":{deep}}}]}}',
            ):
                assert client.post(path, content=body).status_code == 400
            body = f'{{"model":"spark","input":[{compaction}]}}'
            # What a compacted message has behind its text is skipped, if it can be.
            assert client.post(path, content=body).status_code in ((200, 400), (400,))[levels > 999]
