"""Bodies at rest: what comes back is what was stored."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.storage.bodies import Packed, Packer, unpack


@given(st.binary(max_size=2000), st.binary(max_size=2000), st.booleans())
def test_both_bodies_come_back_as_they_were(request: bytes, answer: bytes, compress: bool) -> None:  # noqa: FBT001
    packed = Packer(compress=compress).pack(request, answer)
    assert unpack(packed, len(request)) == (request, answer)
    assert len(packed.content) <= len(request) + len(answer)


def test_one_packer_serves_many_exchanges() -> None:
    packer = Packer()
    packed = [packer.pack(b"a" * n, b"b" * n) for n in (100, 10_000, 100)]
    assert [unpack(one, n) for one, n in zip(packed, (100, 10_000, 100), strict=True)] == [
        (b"a" * n, b"b" * n) for n in (100, 10_000, 100)
    ]


@pytest.mark.parametrize("packed", [Packed("zstd", b"not a frame"), Packed("brotli", b"x")])
def test_content_that_cannot_be_read_is_a_value_error(packed: Packed) -> None:
    with pytest.raises(ValueError, match="stored bodies"):
        unpack(packed, 0)
