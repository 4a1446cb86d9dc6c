from __future__ import annotations

import json
import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from sparkcode.replay.judge import Verdict
from sparkcode.replay.report import (
    Failure,
    MarkShot,
    Report,
    TurnFigures,
    to_json,
    to_junit,
    to_table,
)

GOOD = Verdict(3, "Expect screen /a/", True, "shown: 'a'")
BAD = Verdict(4, 'Expect file "x" /<b>/', False, "no file 'x'")
TURN = TurnFigures(1, "completed", 0.0850000004, 0.0966, 98, 1000.00004, 0.085, 1000.0)
STUCK = Failure(7, "Wait /never/ 2s", "not on the screen within 2 s", "first\n\n\n\nlast")
WHOLE = Report(
    script="demo.spark",
    clock="virtual",
    seconds=2.8840000001,
    engine="scripted",
    model="scripted",
    expectations=(GOOD, BAD),
    turns=(TURN, TurnFigures(2, "interrupted")),
    marks=(MarkShot("asked", 1.6020000004, "screen"),),
    failure=STUCK,
)


def test_json_has_every_key_and_rounded_numbers() -> None:
    assert json.loads(to_json(WHOLE)) == {
        "script": "demo.spark",
        "clock": "virtual",
        "passed": False,
        "seconds": 2.884,
        "engine": "scripted",
        "model": "scripted",
        "expectations": [
            {"line": 3, "source": "Expect screen /a/", "passed": True, "actual": "shown: 'a'"},
            {
                "line": 4,
                "source": 'Expect file "x" /<b>/',
                "passed": False,
                "actual": "no file 'x'",
            },
        ],
        "turns": [
            {
                "number": 1,
                "phase": "completed",
                "ttft": 0.085,
                "ttfp": 0.0966,
                "tokens": 98,
                "tokens_per_second": 1000.0,
                "sim_ttft": 0.085,
                "sim_tokens_per_second": 1000.0,
            },
            {
                "number": 2,
                "phase": "interrupted",
                "ttft": None,
                "ttfp": None,
                "tokens": 0,
                "tokens_per_second": None,
                "sim_ttft": None,
                "sim_tokens_per_second": None,
            },
        ],
        "marks": [{"name": "asked", "time": 1.602, "screen": "screen"}],
        "failure": {
            "line": 7,
            "source": "Wait /never/ 2s",
            "reason": "not on the screen within 2 s",
            "screen": "first\n\n\n\nlast",
        },
    }
    assert "\n" not in to_json(WHOLE)


def test_passed_needs_every_expectation_and_no_failure() -> None:
    assert Report("a", "virtual", 1.0).passed
    assert Report("a", "virtual", 1.0, expectations=(GOOD,)).passed
    assert not Report("a", "virtual", 1.0, expectations=(GOOD, BAD)).passed
    assert not Report("a", "virtual", 1.0, failure=STUCK).passed


def test_complaint_names_what_went_wrong_first() -> None:
    assert Report("a", "virtual", 1.0, expectations=(GOOD,)).complaint == ""
    wrong = Report("a.spark", "virtual", 1.0, expectations=(GOOD, BAD))
    assert wrong.complaint.startswith("a.spark:4: no file 'x'")
    assert wrong.complaint.endswith("(1 of 2 expectations failed)")
    assert WHOLE.complaint.startswith("demo.spark:7: not on the screen within 2 s")


def test_table_shows_all_of_it() -> None:
    table = to_table(WHOLE)
    assert "demo.spark  2.884 s on the virtual clock, scripted scripted" in table
    assert "ok       3  Expect screen /a/  (shown: 'a')" in table
    assert 'FAIL     4  Expect file "x" /<b>/' in table
    assert "85.0 ms" in table
    assert "marks  asked 1.602 s" in table
    assert "  | first\n  | \n  | last\n" in table
    assert table.endswith("FAILED: 1 of 2 expectations hold\n")


def test_table_of_an_empty_report() -> None:
    assert to_table(Report("a", "real", 0.0)) == (
        "a  0.000 s on the real clock\n\npassed: 0 of 0 expectations hold\n"
    )


def test_junit_has_one_case_for_each_expectation_and_the_failure() -> None:
    suite = ET.fromstring(to_junit(WHOLE))
    assert (suite.tag, suite.get("tests"), suite.get("failures")) == ("testsuite", "3", "2")
    cases = suite.findall("testcase")
    assert [case.get("name") for case in cases] == [
        "3: Expect screen /a/",
        '4: Expect file "x" /<b>/',
        "7: Wait /never/ 2s",
    ]
    failures = [case.find("failure") for case in cases]
    assert failures[0] is None
    assert failures[2] is not None
    assert failures[2].get("message") == "not on the screen within 2 s"
    assert (failures[2].text or "").endswith("first\n\n\n\nlast")


@given(st.text(), st.text())
def test_junit_is_xml_whatever_was_on_the_screen(screen: str, source: str) -> None:
    failure = Failure(1, source, "reason", screen.encode(errors="replace").decode())
    ET.fromstring(to_junit(Report("a", "virtual", 1.0, failure=failure)))
