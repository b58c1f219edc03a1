"""What a caller would rather have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.web.accept import quality

PROMETHEUS = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"


@pytest.mark.parametrize(
    ("accept", "json", "text"),
    [
        (None, 1.0, 1.0),
        ("", 1.0, 1.0),
        ("*/*", 1.0, 1.0),
        ("application/json", 1.0, 0.0),
        ("application/*", 1.0, 0.0),
        ("text/plain", 0.0, 1.0),
        ("text/html,application/xhtml+xml,*/*;q=0.8", 0.8, 0.8),
        ("application/json;q=0.3, */*;q=0.9", 0.3, 0.9),
        ("APPLICATION/JSON; q=0.5", 0.5, 0.0),
        ("application/json;q=nonsense", 0.0, 0.0),
        ("application/json;q=2", 0.0, 0.0),
        ("*/*;q=0", 0.0, 0.0),
        (PROMETHEUS, 0.1, 0.5),
    ],
)
def test_the_most_specific_range_counts(accept: str | None, json: float, text: float) -> None:
    assert (quality(accept, "application/json"), quality(accept, "text/plain")) == (json, text)


@given(st.text(max_size=200))
def test_any_header_is_read(accept: str) -> None:
    assert 0 <= quality(accept, "application/json") <= 1
