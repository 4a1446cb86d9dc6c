from typing import cast, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkcode.protocol.events import ResponseCreate
from sparkcode.protocol.variants import PromptStyle, Variant, variant_of, varied

seeds = st.none() | st.integers(0, 999_999_999)


@given(st.sampled_from(get_args(PromptStyle)), seeds, st.none() | st.just({"theirs": "1"}))
def test_a_variant_comes_back_and_other_metadata_stays(
    prompt: str, seed: int | None, theirs: dict[str, str] | None
) -> None:
    asked = Variant(cast(PromptStyle, prompt), seed)
    request = varied(ResponseCreate(model="spark", metadata=theirs), asked)
    assert variant_of(request) == asked
    assert (theirs or {}).items() <= (request.metadata or {}).items()


@pytest.mark.parametrize(
    ("metadata", "understood"),
    [
        (None, Variant()),
        ({"sparkcode_prompt": "poem"}, Variant()),
        ({"sparkcode_prompt": "rich", "sparkcode_seed": "-1"}, Variant("rich")),
        ({"sparkcode_seed": "1.5"}, Variant()),
        ({"sparkcode_seed": "٣"}, Variant()),
        ({"sparkcode_seed": "9" * 10}, Variant()),
        ({"sparkcode_seed": ""}, Variant()),
    ],
)
def test_what_is_not_understood_is_left_out(
    metadata: dict[str, str] | None, understood: Variant
) -> None:
    request = ResponseCreate(model="spark")
    assert variant_of(msgspec.structs.replace(request, metadata=metadata)) == understood
