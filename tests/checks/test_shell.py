from __future__ import annotations

import pytest

from sparkcode.checks.shell import faults


def said(before: str, after: str, instruction: str) -> list[str]:
    return [fault.message for fault in faults(before, after, instruction)]


@pytest.mark.parametrize("words", ["exit on errors", "stop on the first failure", "fail fast"])
def test_a_script_that_goes_on_after_errors(words: str) -> None:
    assert said("ls\n", "ls -l\n", words) == ["add the line `set -e`, so that it exits on errors"]
    for stops in ("set -eu\n", "set -o errexit\n", "ls || exit 1\n", "cd x || { echo; exit; }\n"):
        assert said("ls\n", stops, words) == []
    assert said("ls\n", "ls -l\n", "list more on error pages") == []


def test_values_that_are_split_at_their_spaces() -> None:
    script = 'cp -r $SRC/* "$DEST"/x\necho ${A} $? $# > $f\nx=$1\n[[ $x ]] && rm a-${n}.txt\n'
    assert said("", script, "quote the variables") == [
        "put $SRC into double quotes",
        "put ${A} into double quotes",
        "put ${n} into double quotes",
    ]
    quoted = 'cp -r "$SRC"/* "$DEST"\nfor f in $FILES; do echo "$f" "${#f}"; done\n'
    assert said("", quoted, "quote all variables") == []
    assert said("", script, "quote the text") == []
