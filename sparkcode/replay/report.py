"""What a replay found, as JSON, as a table for people, and as JUnit XML. Pure.

Times are seconds on the replay's own clock, rounded to a microsecond, rates tokens a second rounded
to a thousandth: two runs that took the same course give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import quoteattr

from sparkcode.replay.judge import Verdict

_ILLEGAL = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 65534, 65535), "�")
"""Characters that XML cannot hold."""


@dataclass(frozen=True, slots=True)
class TurnFigures:
    """How one turn felt; see ``assistant.meter`` for the definitions."""

    number: int
    phase: str
    ttft: float | None = None
    """Seconds on the replay's clock."""
    ttfp: float | None = None
    """Seconds on the replay's clock."""
    tokens: int = 0
    tokens_per_second: float | None = None
    sim_ttft: float | None = None
    """Seconds on the simulated chip."""
    sim_tokens_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class MarkShot:
    """A named instant: its time in seconds since the start, and what was painted."""

    name: str
    time: float
    screen: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a script could not go on."""

    line: int
    """Line of the script; 0 where it is not about a line."""
    source: str
    reason: str
    screen: str
    """What was painted then."""


@dataclass(frozen=True, slots=True)
class Report:
    """One replay."""

    script: str
    clock: str
    seconds: float
    """How long it took on the replay's clock."""
    engine: str = ""
    model: str = ""
    expectations: tuple[Verdict, ...] = ()
    turns: tuple[TurnFigures, ...] = ()
    marks: tuple[MarkShot, ...] = ()
    failure: Failure | None = None

    @property
    def passed(self) -> bool:
        return self.failure is None and all(verdict.passed for verdict in self.expectations)

    @property
    def complaint(self) -> str:
        """One line on what went wrong first; empty when all is well."""
        if self.failure is not None:
            failure = self.failure
            return f"{self.script}:{failure.line}: {failure.reason}: {failure.source!r}"
        wrong = [verdict for verdict in self.expectations if not verdict.passed]
        if not wrong:
            return ""
        first = wrong[0]
        count = f"{len(wrong)} of {len(self.expectations)} expectations failed"
        return f"{self.script}:{first.line}: {first.actual}: {first.source!r} ({count})"


def to_json(report: Report) -> str:
    """One JSON object on one line."""
    fields: dict[str, Any] = {
        "script": report.script,
        "clock": report.clock,
        "passed": report.passed,
        "seconds": round(report.seconds, 6),
        "engine": report.engine,
        "model": report.model,
        "expectations": [_verdict_fields(verdict) for verdict in report.expectations],
        "turns": [_turn_fields(turn) for turn in report.turns],
        "marks": [
            {"name": mark.name, "time": round(mark.time, 6), "screen": mark.screen}
            for mark in report.marks
        ],
        "failure": None if report.failure is None else _failure_fields(report.failure),
    }
    return json.dumps(fields, ensure_ascii=False)


def _verdict_fields(verdict: Verdict) -> dict[str, Any]:
    return {
        "line": verdict.line,
        "source": verdict.source,
        "passed": verdict.passed,
        "actual": verdict.actual,
    }


def _turn_fields(turn: TurnFigures) -> dict[str, Any]:
    return {
        "number": turn.number,
        "phase": turn.phase,
        "ttft": _rounded(turn.ttft, 6),
        "ttfp": _rounded(turn.ttfp, 6),
        "tokens": turn.tokens,
        "tokens_per_second": _rounded(turn.tokens_per_second, 3),
        "sim_ttft": _rounded(turn.sim_ttft, 6),
        "sim_tokens_per_second": _rounded(turn.sim_tokens_per_second, 3),
    }


def _failure_fields(failure: Failure) -> dict[str, Any]:
    return {
        "line": failure.line,
        "source": failure.source,
        "reason": failure.reason,
        "screen": failure.screen,
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


# --- for people -----------------------------------------------------------------------------


def to_table(report: Report) -> str:
    """The same as aligned text; marks are named, and only a failure shows its screen."""
    answered = f", {report.engine} {report.model}" if report.engine else ""
    lines = [f"{report.script}  {report.seconds:.3f} s on the {report.clock} clock{answered}", ""]
    if report.turns:
        lines += [*_turn_table(report.turns), ""]
    if report.marks:
        names = ", ".join(f"{mark.name} {mark.time:.3f} s" for mark in report.marks)
        lines += [f"marks  {names}", ""]
    lines += [_verdict_line(verdict) for verdict in report.expectations]
    if report.failure is not None:
        failure = report.failure
        lines += [f"FAIL  {failure.line:>4}  {failure.source}", f"            {failure.reason}"]
        lines += ["", *(f"  | {row}" for row in _without_gaps(failure.screen)), ""]
    held = sum(verdict.passed for verdict in report.expectations)
    total = len(report.expectations)
    verdict = "passed" if report.passed else "FAILED"
    return "\n".join([*lines, f"{verdict}: {held} of {total} expectations hold"]) + "\n"


def _without_gaps(screen: str) -> list[str]:
    """The rows, with a single blank one wherever there are several."""
    rows = screen.splitlines()
    return [row for row, after in zip(rows, [*rows[1:], ""], strict=True) if row or after]


def _verdict_line(verdict: Verdict) -> str:
    sign = "ok  " if verdict.passed else "FAIL"
    return f"{sign}  {verdict.line:>4}  {verdict.source}  ({verdict.actual})"


def _turn_table(turns: Iterable[TurnFigures]) -> list[str]:
    titles = ("turn", "phase", "TTFT", "TTFP", "tokens", "tok/s", "sim TTFT", "sim tok/s")
    rows = [
        (
            str(turn.number),
            turn.phase,
            _ms(turn.ttft),
            _ms(turn.ttfp),
            str(turn.tokens),
            _rate(turn.tokens_per_second),
            _ms(turn.sim_ttft),
            _rate(turn.sim_tokens_per_second),
        )
        for turn in turns
    ]
    widths = [max(len(cell) for cell in column) for column in zip(titles, *rows, strict=True)]
    return [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in (titles, *rows)
    ]


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.1f} ms"


def _rate(tokens_per_second: float | None) -> str:
    return "-" if tokens_per_second is None else f"{tokens_per_second:.1f}"


# --- for build servers ----------------------------------------------------------------------


def to_junit(report: Report) -> str:
    """One test suite; each expectation is a test case, and so is a statement that failed."""
    cases = [
        _case(report.script, verdict.line, verdict.source, "" if verdict.passed else verdict.actual)
        for verdict in report.expectations
    ]
    if report.failure is not None:
        failure = report.failure
        text = f"{failure.reason}\n{failure.screen}"
        cases.append(_case(report.script, failure.line, failure.source, text))
    failed = sum("<failure" in case for case in cases)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<testsuite name={_attribute(report.script)} tests="{len(cases)}" failures="{failed}"'
        f' time="{report.seconds:.6f}">\n{"".join(cases)}</testsuite>\n'
    )


def _case(script: str, line: int, source: str, problem: str) -> str:
    head = f"  <testcase classname={_attribute(script)} name={_attribute(f'{line}: {source}')}"
    if not problem:
        return f"{head}/>\n"
    first = problem.partition("\n")[0]
    return (
        f"{head}>\n    <failure message={_attribute(first)}>{_cdata(problem)}</failure>\n"
        "  </testcase>\n"
    )


def _attribute(text: str) -> str:
    return quoteattr(text.translate(_ILLEGAL))


def _cdata(text: str) -> str:
    inner = text.translate(_ILLEGAL).replace("]]>", "]]]]><![CDATA[>")
    return f"<![CDATA[{inner}]]>"
