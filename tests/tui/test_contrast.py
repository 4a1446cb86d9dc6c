from __future__ import annotations

import pytest

from sparkcode.tui.contrast import contrast, luminance


def test_known_values() -> None:
    assert luminance("#000000") == 0
    assert luminance("#ffffff") == pytest.approx(1)
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    # The example of the guidelines' own documents: the lightest grey that passes on white.
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)
    assert contrast("#ffffff", "#767676") == contrast("#767676", "#ffffff")


@pytest.mark.parametrize("colour", ["red", "#fff", "#gggggg", ""])
def test_only_rrggbb(colour: str) -> None:
    with pytest.raises(ValueError, match="no #rrggbb colour"):
        luminance(colour)
