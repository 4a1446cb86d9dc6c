from __future__ import annotations

import asyncio
from pathlib import Path

from sparkcode.assistant.edit import Plan
from sparkcode.assistant.trial import CommandJudge
from sparkcode.tui.checking import Checking

PLAN = Plan({"a.txt": b"1\n"}, {"a.txt": b"2\n"})


def told(folder: Path, command: str) -> list[str]:
    """What a check says, from its start to its end."""
    said: list[str] = []

    async def work() -> None:
        over = asyncio.Event()

        def say(line: str) -> None:
            said.append(line)
            if len(said) == 2:
                over.set()

        Checking(CommandJudge(command, folder)).start(PLAN, say)
        await over.wait()

    asyncio.run(work())
    return said


def test_a_check_says_how_it_went(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1\n")
    assert told(tmp_path, "grep -q 2 a.txt") == [
        "checking: grep -q 2 a.txt ...",
        "✓ the edit passes grep -q 2 a.txt",
    ]
    assert told(tmp_path, "echo no; exit 1")[1] == "✗ the edit fails echo no; exit 1: no"
    assert (tmp_path / "a.txt").read_text() == "1\n"


def test_a_folder_that_cannot_be_copied_is_said(tmp_path: Path) -> None:
    assert "cannot be copied" in told(tmp_path / "absent", "true")[1]


def test_without_a_command_nothing_runs() -> None:
    checking = Checking(None)
    checking.start(PLAN, print)
    checking.stop()
    assert checking.command == ""
