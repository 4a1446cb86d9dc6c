"""A stray opening never reaches the file; what only resembles one does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.engine.opening import Opening

CODE = "def f():\n    return 1\n"


def passed(text: str, original: str = CODE, size: int = 3) -> str:
    opening = Opening(original)
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    return "".join(map(opening.feed, pieces)) + opening.finish()


@pytest.mark.parametrize(
    "stray",
    [
        "```python\n",
        "\n```py\n",
        "~~~~ c++\n",
        "Here is the edited piece of code:\n```python\n",
        "Here's the complete `f` you asked for:\n\n```python\n",
    ],
)
def test_an_opening_goes(stray: str) -> None:
    assert passed(stray + CODE) == CODE


@pytest.mark.parametrize(
    "text",
    [
        CODE,
        "",
        "\n\n" + CODE,
        "```\n",
        "```\nafter",
        "Here is the edited piece of code:\n    one\n",
        "Name the three things:\n",
        "Class Box of things:\n",
        "`x`\n",
        "``` not one language\n",
        "A" * 1000,
    ],
)
def test_what_only_resembles_one_stays(text: str) -> None:
    assert passed(text) == text


@pytest.mark.parametrize(
    "original", ["```python\nx\n", "Here is some code for you:\n```js\n", "~~~ c\n"]
)
def test_a_region_that_begins_so_keeps_it(original: str) -> None:
    assert passed(original, original) == original


@given(
    st.lists(
        st.sampled_from(
            ["Here is the code", ":", "\n", "```", "`", "python", " ", "x = 1", "A", "~~~", "é"]
        )
    ).map("".join),
    st.integers(1, 9),
)
def test_any_chunking_gives_the_same_text(text: str, size: int) -> None:
    assert passed(text, size=size) == passed(text, size=max(1, len(text)))
    assert text.endswith(passed(text, size=size))
