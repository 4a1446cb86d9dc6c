"""Random texts for random patches: files of every shape, and lines as a model misremembers them."""

from __future__ import annotations

import random
from typing import Final

_PLAIN: Final = [
    "", "", "}", "{", "pass", "import os", "import sys", "def run(self):", "def main():",
    "    return 1", "    return 2", "\treturn 1", "\tif x:", "    x = 1", "    x = 2", "x", "y",
    "class A:", "    def run(self):", "        self.count += 1", "else:", "# a comment", "end",
]  # fmt: skip
_TYPOGRAPHIC: Final = [
    "a – b", "a — b", "it’s", "‘one’", "“two” and „three‟", "x\u00a0= 1", "wide\u3000space",
    "thin\u2009space", "minus \u2212 1", "non\u2011breaking", "naïve café", "日本語", "emoji 🎉",
]  # fmt: skip
_ODD: Final = [
    "trailing  ", "tab\t", " both ", " ", "\t", "   ", "\u3000", "-minus", "+plus", "@@", "@@ x",
    "\\ No newline", "\\", "*** Begin Patch", "*** End Patch", "*** End of File", "*** Add File: n",
    "*** odd", "a\x0bb", "a\x0cb", "\x85", "a\u2028b", "\u2029", "a\x1cb", "\x1f", "\x00", "\x7f",
    "\u200b", "\ufeff", "e\u0301", "EOF", "<<EOF", "a\rb", "a\r",
]  # fmt: skip
_ASCII: Final = str.maketrans(
    {
        **dict.fromkeys("–—\u2212\u2011", "-"),
        **dict.fromkeys("‘’", "'"),
        **dict.fromkeys("“”„‟", '"'),
        **dict.fromkeys("\u00a0\u3000\u2009", " "),
    }
)
_TYPOGRAPHY: Final = str.maketrans({"-": "—", "'": "’", '"': "“", " ": "\u00a0"})
LONG_LINE: Final = 20_000
"""Characters in the longest lines."""


def random_line(rng: random.Random) -> str:
    """One line without its ending: mostly one that occurs often, so that places are ambiguous."""
    kind = rng.random()
    if kind < 0.70:
        return rng.choice(_PLAIN)
    if kind < 0.82:
        return rng.choice(_TYPOGRAPHIC)
    if kind < 0.90:
        return rng.choice(_ODD)
    if kind < 0.99:
        return f"{'    ' * rng.randrange(3)}line {rng.randrange(30)}"
    return "long " * rng.randrange(1, LONG_LINE // 5)


def random_lines(rng: random.Random, most: int) -> list[str]:
    """Up to ``most`` lines."""
    return [random_line(rng) for _ in range(rng.randrange(most + 1))]


def random_text(rng: random.Random) -> str:
    """The text of a file: any length, endings, final newline or none, byte order mark."""
    lines = random_lines(rng, rng.choice([0, 1, 3, 12, 12, 40]))
    style = rng.choice(["\n", "\n", "\n", "\r\n", "\r", "mixed"])
    endings = ["\n", "\r\n", "\n", "\r\n", "\r"] if style == "mixed" else [style]
    text = "".join(line + rng.choice(endings) for line in lines)
    if lines and rng.random() < 0.2:
        text = text.rstrip("\r\n")
    return ("\ufeff" if rng.random() < 0.05 else "") + text


def misremembered(rng: random.Random, line: str) -> str:
    """``line`` as a model may quote it: spaces lost or added, typography flattened or invented."""
    space, indent = rng.choice([" ", "\t", "  ", "\u3000", "\x1f"]), rng.choice([" ", "\t", "    "])
    forms = [
        line.rstrip(),
        line.strip(),
        line + space,
        indent + line,
        line.translate(_ASCII),
        line.translate(_TYPOGRAPHY),
        line.replace("    ", "\t"),
    ]
    return rng.choice(forms)
