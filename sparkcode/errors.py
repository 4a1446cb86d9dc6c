"""The error tree. Each message is one line: what was wrong (``!r``), where, what would be right.

SparkError                    exit 1
├── UsageError                exit 2   a bad option, argument, theme, chip or model name
├── ConfigError               exit 2   a config or data file that cannot be used as it is
├── WorkspaceError            exit 1   a missing, binary, read-only or foreign file
├── WeightsError              exit 1   weights that are absent, damaged, foreign or do not fit
├── PatchError                exit 1
│   ├── PatchSyntaxError               text that is no patch
│   └── PatchApplyError                a patch that does not fit the file
├── ProtocolError             exit 1
│   ├── LocalProtocolError             we broke the rules of the wire
│   └── RemoteProtocolError            the peer did
├── EngineError               exit 1   the engine answered with a failure (``code`` as on the wire)
├── EngineUnreachableError    exit 4   no engine answers
├── ScriptError               exit 2   a replay script or tape that cannot be read
└── ExpectationError          exit 3   an assertion or a bar failed
"""

from __future__ import annotations

from typing import ClassVar


class SparkError(Exception):
    """Anything the project reports to its user in one line."""

    exit_code: ClassVar[int] = 1
    """Process exit status when nobody catches it."""


class UsageError(SparkError):
    exit_code = 2


class ConfigError(SparkError):
    exit_code = 2


class WorkspaceError(SparkError):
    pass


class WeightsError(SparkError):
    pass


class PatchError(SparkError):
    pass


class PatchSyntaxError(PatchError):
    pass


class PatchApplyError(PatchError):
    pass


class ProtocolError(SparkError):
    pass


class LocalProtocolError(ProtocolError):
    pass


class RemoteProtocolError(ProtocolError):
    pass


class EngineError(SparkError):
    """A failure that the engine reported.

    ``code`` is the wire's error code (``context_length_exceeded``, ``server_error`` ...);
    ``retry_seconds`` is how long it asked to wait, 0 where it did not; ``status`` is the HTTP
    status that fits, 0 where the code says enough.
    """

    def __init__(
        self,
        message: str,
        code: str = "server_error",
        retry_seconds: float = 0.0,
        status: int = 0,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.retry_seconds = retry_seconds
        self.status = status


class EngineUnreachableError(SparkError):
    exit_code = 4


class ScriptError(SparkError):
    exit_code = 2


class ExpectationError(SparkError):
    exit_code = 3
