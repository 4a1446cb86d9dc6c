"""The tools that a model is offered besides ``apply_patch``, as the Responses API wants them. Pure.

They list, search and read the files of the folder (:mod:`.toolbox`), and run a command when the
user allows it (:mod:`.helping`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from sparkcode.assistant.plain import one_line

READ_LINES: Final = 500
"""Lines that are read at once."""
RUN: Final = "run_command"
COMMAND_CHARACTERS: Final = 1000
"""The longest command: a user has to read it before it may run."""


def _tool(name: str, description: str, needed: int, **properties: tuple[str, str]) -> Any:
    return {
        "type": "function",
        "name": name,
        "description": description,
        "strict": False,
        "parameters": {
            "type": "object",
            "properties": {
                key: {"type": kind, "description": said} for key, (kind, said) in properties.items()
            },
            "required": list(properties)[:needed],
            "additionalProperties": False,
        },
    }


TOOLS: Final = (
    _tool(
        "list_files",
        "List the files of the folder the user works in; what .gitignore names is left out.",
        0,
        folder=("string", "Only what is below this folder, such as src"),
        glob=("string", "Only paths that match, such as *.py or tests/*"),
    ),
    _tool(
        "search",
        "Search all files, line by line, for a regular expression (Python's syntax).",
        1,
        pattern=("string", "The regular expression"),
        folder=("string", "Only below this folder, or in this file"),
        glob=("string", "Only in paths that match, such as *.py"),
    ),
    _tool(
        "read_file",
        f"Read a text file, {READ_LINES} lines at most. Patches of this task count already.",
        1,
        path=("string", "Relative to the folder the user works in"),
        first_line=("integer", "Counts from 1; the first without it"),
        last_line=("integer", "The last line to read"),
    ),
    _tool(
        RUN,
        "Run a shell command, such as a test, in a copy of the folder that has this task's patches."
        " No network. The user is asked first.",
        1,
        command=("string", "The command line"),
    ),
)
"""In the order in which a task needs them."""
NAMES: Final = frozenset(tool["name"] for tool in TOOLS)


class ListFiles(msgspec.Struct, frozen=True):
    folder: str = ""
    glob: str = ""


class SearchFiles(msgspec.Struct, frozen=True):
    pattern: str
    folder: str = ""
    glob: str = ""


class ReadFile(msgspec.Struct, frozen=True):
    path: str
    first_line: int = 1
    last_line: int | None = None


class RunCommand(msgspec.Struct, frozen=True):
    command: str


Arguments = ListFiles | SearchFiles | ReadFile | RunCommand

_ARGUMENTS: Final[Mapping[str, type[Arguments]]] = {
    "list_files": ListFiles,
    "search": SearchFiles,
    "read_file": ReadFile,
    RUN: RunCommand,
}


@dataclass(frozen=True, slots=True)
class Found:
    """The result of a call."""

    text: str
    """What the model is told."""
    said: str
    """What the user is told, in one line."""


def refused(said: str, reason: str) -> Found:
    """A call that brought nothing."""
    return Found(f"error: {reason}", f"{said}: {one_line(reason)}")


def command_of(arguments: str) -> str | Found:
    """The command line that a call of ``run_command`` asks for."""
    asked = decoded(RUN, arguments)
    command = asked.command.strip() if isinstance(asked, RunCommand) else ""
    if isinstance(asked, Found):
        return asked
    if not command or len(command) > COMMAND_CHARACTERS or not command.isprintable():
        reason = f"a command is one printable line of at most {COMMAND_CHARACTERS} characters"
        return refused(RUN, reason)
    return command


def decoded(name: str, arguments: str) -> Arguments | Found:
    """The arguments of a call of the tool ``name``, which must be one of NAMES."""
    try:
        return msgspec.json.decode(arguments or "{}", type=_ARGUMENTS[name], strict=False)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        return refused(name, f"no arguments of {name}: {one_line(str(error))}")


def brief(asked: Arguments | Found) -> str:
    """What a call is about, for the user."""
    match asked:
        case ReadFile(path=path):
            return one_line(path, 120)
        case SearchFiles(pattern=pattern, folder=folder, glob=glob):
            places = " ".join(each for each in (folder, glob) if each)
            return one_line(f"/{pattern}/" + (f" in {places}" if places else ""), 160)
        case ListFiles(folder=folder, glob=glob):
            return one_line(" ".join(each for each in (folder, glob) if each), 160)
        case _:
            return ""
