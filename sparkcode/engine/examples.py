"""Worked examples: what a rewritten piece of code looks like.

Of 40 everyday edits the 1.5B does 29 with the first alone, 29 with the rest of the file as well, 33
with all of them too; the 0.5B does 22, 21 and 18. Chosen by these 40: others may tell otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Example:
    """One edit, right."""

    language: str
    before: str
    instruction: str
    after: str
    context: str = ""
    """The rest of its file."""


EXAMPLES: Final = (
    Example(
        "python",
        "def half(x):\n    result = x / 2\n    return result",
        "Return 0 early if x is None.",
        "def half(x):\n    if x is None:\n        return 0\n    result = x / 2\n    return result",
    ),
    Example(
        "python",
        "class Timer:\n"
        "    def __init__(self, seconds):\n"
        "        self.seconds = seconds\n"
        "\n"
        "    def double(self):\n"
        "        return self.seconds * 2\n"
        "\n"
        "    def reset(self, seconds=0):\n"
        "        self.seconds = seconds",
        "add type hints to all methods",
        "class Timer:\n"
        "    def __init__(self, seconds: float) -> None:\n"
        "        self.seconds = seconds\n"
        "\n"
        "    def double(self) -> float:\n"
        "        return self.seconds * 2\n"
        "\n"
        "    def reset(self, seconds: float = 0) -> None:\n"
        "        self.seconds = seconds",
    ),
    Example(
        "python",
        'def remove(path):\n    print("removing", path)\n    os.remove(path)',
        "use log.debug instead of print",
        'def remove(path):\n    log.debug("removing %s", path)\n    os.remove(path)',
        "import logging\nimport os\n\nlog = logging.getLogger(__name__)",
    ),
    Example(
        "python",
        "def circumference(radius):\n"
        "    return 2 * 3.14159 * radius\n"
        "\n"
        "\n"
        "def disc(radius):\n"
        "    return 3.14159 * radius ** 2",
        "Put the number 3.14159 into a constant PI.",
        "PI = 3.14159\n"
        "\n"
        "\n"
        "def circumference(radius):\n"
        "    return 2 * PI * radius\n"
        "\n"
        "\n"
        "def disc(radius):\n"
        "    return PI * radius ** 2",
        "import math",
    ),
    Example(
        "javascript",
        "function label(user) {\n"
        "  var name = user.name;\n"
        "  var text = '';\n"
        "  if (name == null) {\n"
        "    return text;\n"
        "  }\n"
        "  text += name;\n"
        "  return text;\n"
        "}",
        "use let or const instead of var, and return null if there is no user",
        "function label(user) {\n"
        "  if (!user) {\n"
        "    return null;\n"
        "  }\n"
        "  const name = user.name;\n"
        "  let text = '';\n"
        "  if (name == null) {\n"
        "    return text;\n"
        "  }\n"
        "  text += name;\n"
        "  return text;\n"
        "}",
    ),
)
