"""Documents with two faults: what the parser lets through, and behind it what is no JSON at all."""

from __future__ import annotations

import pytest

from custom_components.firmware_hub.core.errors import BadInput, Reason
from custom_components.firmware_hub.core.untrusted import read_object


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 99999999999999999999, "b" 1}',
        '{"a": NaN, "b": }',
        '{"a": {"b": 1, "b": 2}, "c": [1, 2}',
        '{"a": 1e999',
        '{"a": 99999999999999999999} {}',
    ],
)
def test_a_second_fault_behind_the_first_is_refused_like_one(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_object(text)
    assert (caught.value.reason, caught.value.path) == (Reason.MALFORMED, "$")
