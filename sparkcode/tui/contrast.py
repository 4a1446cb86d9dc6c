"""Contrast of two colours, as the Web Content Accessibility Guidelines 2.2 define it.

Relative luminance weighs linear-light red, green and blue; contrast is (L1 + 0.05) / (L2 + 0.05),
from 1 to 21. Text needs 4.5 (criterion 1.4.3), lines and borders that carry meaning need 3
(1.4.11).
"""

from __future__ import annotations

import re
from typing import Final

TEXT_BAR: Final = 4.5
CHROME_BAR: Final = 3.0

_HEX = re.compile(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")


def is_hex(colour: str) -> bool:
    """Whether ``colour`` is ``#rrggbb``."""
    return _HEX.fullmatch(colour) is not None


def luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb``, 0 (black) to 1 (white); ValueError for anything else."""
    match = _HEX.fullmatch(colour)
    if match is None:
        raise ValueError(f"{colour!r} is no #rrggbb colour")
    red, green, blue = (_linear(int(part, 16) / 255) for part in match.groups())
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast of two ``#rrggbb`` colours, 1 to 21; the order does not matter."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
