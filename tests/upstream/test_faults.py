from __future__ import annotations

import pytest

from sparkcode.errors import EngineError
from sparkcode.protocol.events import ErrorBody
from sparkcode.upstream import faults

URL = "http://127.0.0.1:1/v1"


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (401, ErrorBody(message="no", code="invalid_api_key"), "upstream_unauthorized"),
        (403, ErrorBody(), "upstream_unauthorized"),
        (404, ErrorBody(message="Not Found"), "upstream_error"),
        (404, ErrorBody(message="model 'x' not found"), "invalid_prompt"),
        (404, ErrorBody(message="no", code="model_not_found"), "model_not_found"),
        (405, ErrorBody(), "upstream_error"),
        (429, ErrorBody(message="slow"), "rate_limit_exceeded"),
        (429, ErrorBody(message="pay", code="insufficient_quota"), "insufficient_quota"),
        (500, ErrorBody(message="oops", code="server_error"), "upstream_error"),
        (502, ErrorBody(), "upstream_error"),
        (503, ErrorBody(), "server_is_overloaded"),
        (529, ErrorBody(), "server_is_overloaded"),
        (400, ErrorBody(message="bad", code="invalid_value"), "invalid_value"),
        (400, ErrorBody(message="bad"), "invalid_prompt"),
        (
            400,
            ErrorBody(message="This model's maximum context length is 4096 tokens."),
            "context_length_exceeded",
        ),
        (
            400,
            ErrorBody(message="the request exceeds the available context size"),
            "context_length_exceeded",
        ),
        (
            400,
            ErrorBody(message="Requested tokens (9) exceed context window of 8"),
            "context_length_exceeded",
        ),
    ],
)
def test_codes(status: int, body: ErrorBody, code: str) -> None:
    error = faults.refused(URL, status, body)
    assert error.code == code
    assert "\n" not in str(error)


def test_what_a_server_says_of_a_refused_key_is_not_passed_on() -> None:
    body = ErrorBody(message="Incorrect API key provided: sk-abc***xyz")
    told = str(faults.refused(URL, 401, body))
    assert "sk-abc" not in told
    assert "SPARKCODE_UPSTREAM_API_KEY" in told


def test_the_time_to_wait_is_where_clients_look_for_it() -> None:
    told = faults.refused(URL, 429, ErrorBody(message="Slow down"), 20)
    assert str(told).endswith("Slow down; try again in 20s")
    assert told.retry_seconds == 20
    said = faults.refused(URL, 429, ErrorBody(message="Please try again in 350ms."))
    assert str(said).count("try again") == 1
    assert said.retry_seconds == pytest.approx(0.35)


def test_a_message_is_one_bounded_line_of_printable_text() -> None:
    told = str(faults.failed("a\n\x1b[31mb" + "c" * 1000, "x"))
    assert told.isprintable()
    assert len(told) < faults.MAX_MESSAGE + 40


def test_the_key_is_taken_out_of_whatever_an_error_says() -> None:
    error = faults.without("sk-1", EngineError("header sk-1 refused", "x", 3.0, 400))
    assert (str(error), error.code) == ("header *** refused", "x")
    assert (error.retry_seconds, error.status) == (3.0, 400)
    assert str(faults.without("", EngineError("plain"))) == "plain"


def test_what_the_client_did_wrong_keeps_its_status() -> None:
    assert faults.refused(URL, 422, ErrorBody(message="bad")).status == 422
    assert faults.refused(URL, 500, ErrorBody(message="bad")).status == 0
