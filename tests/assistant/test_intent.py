"""What kind of turn an instruction asks for."""

from __future__ import annotations

import pytest

from sparkcode.assistant.intent import Intent, Kind, intent_of
from sparkcode.errors import UsageError

EDITS = """\
Add a docstring
Write a docstring that explains what it returns
Add a test for None at the top
Add tests for empty input before the loop
Test whether x is None first
Make the tests pass
Fix the bug: tags leak from one call to the next
Can you add a docstring?
Could you please rename x to total?
How about a set instead of a list?
Why not use pathlib?
What about returning early?
What if n is zero? Handle it.
Move it to a new file shapes.py
Put that into the new class Box
Write the result to out.txt
Add README.md reference to the docstring
Describe the parameters in the docstring
Create a new method area
Add a new parameter timeout.
Generate the id with uuid4
Make a new list instead of changing items
Do the same for subtract
Is should be called are
Use a new-style class
Write logs to app.log instead of stdout
Start the server in main()
add type hints
new name for x: count
make it faster
"""
ASKS = """\
What does this do?
why is this slow
Is this thread safe?
How do I run it?
Which names are unused?
Can this fail?
這是什麼？
What happens when n is 0
"""
EXPLAINS = """\
Explain this function
explain
Please explain the regex
Could you explain this?
Describe what happens here
summarize this file
Can you tell me what this does?
"""
TESTS = {
    "Write tests for add": "add",
    "add unit tests for the function parse_event": "parse_event",
    "Write a test for Stack.push": "Stack.push",
    "test parse": "parse",
    "Please write some pytest tests for `total()`": "total",
    "Create a test suite for add, negative numbers too": "add",
    "write tests for add covering zero and negative numbers": "add",
    "Write tests": "",
    "Write tests for this function": "",
    "Generate tests for it": "",
    "unit test add.": "add",
}
NEW = {
    "Create a new file util.py with a helper that joins paths": "util.py",
    "write hello.py that prints hello": "hello.py",
    "Add a file util/helpers.py": "util/helpers.py",
    "new config.yaml: two services": "config.yaml",
    "Write a script deploy.sh that copies dist": "deploy.sh",
    "Could you create a python module called shapes.py with class Box?": "shapes.py",
    "Write a function that sorts by length into a new file sorting.py": "sorting.py",
    "Create `a-b/c.test.ts` for the parser": "a-b/c.test.ts",
}
CASES: list[tuple[str, Kind]] = [
    *((text, "edit") for text in EDITS.splitlines() if not text.startswith("Describe the")),
    *((text, "ask") for text in ASKS.splitlines()),
    *((text, "explain") for text in EXPLAINS.splitlines()),
    *((text, "test") for text in TESTS),
    *((text, "new") for text in NEW),
]


@pytest.mark.parametrize(("text", "kind"), CASES)
def test_the_words_decide(text: str, kind: Kind) -> None:
    found = intent_of(text)
    assert (found.kind, found.said) == (kind, text)


@pytest.mark.parametrize(("text", "name"), TESTS.items())
def test_what_is_to_be_tested_has_a_name(text: str, name: str) -> None:
    assert intent_of(text).name == name


@pytest.mark.parametrize(("text", "path"), NEW.items())
def test_a_new_file_has_a_path_and_is_not_there(text: str, path: str) -> None:
    assert intent_of(text).path == path
    assert intent_of(text, exists=lambda asked: asked == path).kind == "edit"


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("/ask rename it", Intent("ask", "rename it")),
        ("/EDIT what is this?", Intent("edit", "what is this?")),
        ("/explain", Intent("explain", "Explain this code.")),
        ("/explain the loop", Intent("explain", "the loop")),
        ("/new a b", Intent("new", "b", path="a")),
        ("/new pkg/a.py  two\nlines", Intent("new", "two\nlines", path="pkg/a.py")),
        ("/test add", Intent("test", "Write tests for add.", name="add")),
        ("/test", Intent("test", "Write tests for this code.")),
        ("/ not a command", Intent("edit", "/ not a command")),
        ("/usr/bin is wrong here", Intent("edit", "/usr/bin is wrong here")),
    ],
)
def test_a_command_always_wins(text: str, intent: Intent) -> None:
    assert intent_of(text) == intent


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "/fix it",
            "there is no command /fix; there are /edit, /ask, /explain, /new, /test, /task",
        ),
        ("/new", "/new needs a path and what the file is to hold: /new PATH ..."),
        ("/new a.py", "/new needs a path and what the file is to hold: /new PATH ..."),
        ("/edit", "/edit needs words behind it: /edit ..."),
        ("/task ", "/task needs words behind it: /task ..."),
    ],
)
def test_a_command_that_cannot_be_is_refused(text: str, error: str) -> None:
    with pytest.raises(UsageError, match=f"^{error}$"):
        intent_of(text)
