"""Lines that came out a little different go back; lines that were meant do not."""

import pytest

from sparkcode.mend import blanks, copying

PYTHON = '''\
def best(scores, n=3):
    """Return the best scores.

    The cutoff is a float in [0, 1].  At most n come back.
    """
    # Ties keep their order.
    ranked = sorted(scores,  key=lambda s: s["value"])  # stable
    return ranked[:n]


def worst(scores):
    return min(scores)
'''


def mended(after: str, instruction: str = "Return at least one", language: str = "python") -> str:
    return copying.mended(PYTHON, after, language, instruction)[0]


@pytest.mark.parametrize(
    "slip",
    [
        ("[0, 1]", "[0.0, 1.0]"),
        ("  # stable", ""),
        ("scores,  key", "scores, key"),
        ('s["value"]', "s['value']"),
        ("    # Ties keep their order.\n", ""),
        ("come back.\n", "come back. \n"),
        ("Ties keep", "Ties hold"),
    ],
)
def test_a_slip_beside_an_edit_goes_back(slip: tuple[str, str]) -> None:
    edited = PYTHON.replace("ranked[:n]", "ranked[: max(n, few)]")
    assert mended(edited.replace(*slip)) == edited


@pytest.mark.parametrize(
    ("change", "instruction"),
    [
        (("[0, 1]", "[0, 2]"), "Let the cutoff go up to 2"),
        (("  # stable", ""), "Remove the comments"),
        (("  # stable", "  # not stable"), "Return at least one"),
        (("scores,  key", "scores, key"), "Format this with black"),
        (('s["value"]', "s['value']"), "Use single quotes"),
        (('s["value"]', 's["score"]'), "The field is called score"),
        (("    # Ties keep their order.\n", ""), "Drop needless remarks"),
        (("At most n come back", "At most three come back"), "Write a better docstring"),
        (("The cutoff is a float in [0, 1].  At most", "No"), "Return at least one"),
    ],
)
def test_what_was_meant_stays(change: tuple[str, str], instruction: str) -> None:
    edited = PYTHON.replace(*change)
    assert mended(edited, instruction) == edited


def test_a_docstring_follows_its_code() -> None:
    edited = (
        PYTHON.replace("n=3", "count=3").replace("[:n]", "[:count]").replace("most n", "most count")
    )
    assert mended(edited) == edited


@pytest.mark.parametrize(
    ("language", "before", "after", "expected"),
    [
        ("go", "a()  // why\nb()\n", "a()\nc()\n", "a()  // why\nc()\n"),
        ("java", "f('x');\ng();\n", 'f("x");\nh();\n', 'f("x");\nh();\n'),
        ("markdown", "a  \nb\n", "a\nc\n", "a\nc\n"),
        ("", "a  b\nc\n", "a b\nd\n", "a b\nd\n"),
        ("python", 'x = """\na  b\n"""\ny = 1\n', 'x = """\na b\n"""\ny = 2\n', None),
        ("javascript", "f('x')\r\ng()\r\n", 'f("x")\r\nh()\r\n', "f('x')\r\nh()\r\n"),
        ("python", 'x = "é"  # ü\ny\n', 'x = "é"\nz\n', 'x = "é"  # ü\nz\n'),
        ("c", "/* one\n two */\na();\nb();\n", "a();\nc();\n", "/* one\n two */\na();\nc();\n"),
    ],
)
def test_each_language_has_its_own_slips(
    language: str, before: str, after: str, expected: str | None
) -> None:
    text, _ = copying.mended(before, after, language, "Call another")
    assert text == (after if expected is None else expected)


# --- blank lines --------------------------------------------------------------------------------


def test_blank_lines_between_lines_that_stay_stay() -> None:
    edited = PYTHON.replace("[:n]\n\n\n", "[:n]\n\n").replace("best scores", "best")
    text, note = blanks.mended(PYTHON, edited, "python", "Shorten the docstring")
    assert text == PYTHON.replace("best scores", "best")
    assert note == "blank lines as they were"


@pytest.mark.parametrize(
    ("edited", "instruction"),
    [
        (PYTHON.replace("[:n]\n\n\n", "[:n]\n\n"), "One blank line between functions"),
        (PYTHON.replace("[:n]\n\n\n", "[:n]\n\n\nx = 1\n\n\n"), "Add x"),
        (PYTHON.replace("def worst", "@cache\ndef worst"), "Cache worst"),
        (PYTHON + "\n\nx = 1\n", "Add x"),
        ("", "Empty it"),
    ],
)
def test_blank_lines_around_something_new_are_its_own(edited: str, instruction: str) -> None:
    assert blanks.mended(PYTHON, edited, "python", instruction)[0] == edited
