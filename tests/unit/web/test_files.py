"""Ranges of files, as RFC 9110 has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from junto.web.files import Span, file_response, span_of

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 100
ETAG = '"tag"'


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=0-9", (0, 10)),
        ("bytes=90-", (90, 100)),
        ("bytes=90-500", (90, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-500", (0, 100)),
        ("bytes=99-99", (99, 100)),
        (" bytes=1-2 ", (1, 3)),
        (None, (0, 100)),
        ("", (0, 100)),
        ("bytes=-", (0, 100)),
        ("bytes=5-2", (0, 100)),
        ("bytes=0-1,5-6", (0, 100)),
        ("bytes=a-b", (0, 100)),
        ("items=0-1", (0, 100)),
        ("bytes=٣-٤", (0, 100)),
        ("bytes=" + "9" * 500 + "-", (0, 100)),
        ("bytes=100-", None),
        ("bytes=-0", None),
        ("bytes=100-200", None),
    ],
)
def test_a_range_is_read_or_it_is_none_or_there_is_nothing_there(header: str, span: tuple[int, int] | None) -> None:
    assert span_of(header, SIZE) == (None if span is None else Span(*span))


@pytest.mark.parametrize(
    ("headers", "status", "content_range"),
    [
        ({}, 200, None),
        ({"range": "bytes=0-9"}, 206, "bytes 0-9/100"),
        ({"range": "bytes=0-"}, 206, "bytes 0-99/100"),
        ({"range": "bytes=0-1,5-6"}, 200, None),
        ({"range": "bytes=200-"}, 416, "bytes */100"),
        ({"range": "bytes=0-9", "if-range": ETAG}, 206, "bytes 0-9/100"),
        ({"range": "bytes=0-9", "if-range": '"other"'}, 200, None),
        ({"if-none-match": ETAG}, 304, None),
        ({"if-none-match": f'"a", W/{ETAG}'}, 304, None),
        ({"if-none-match": '"a"'}, 200, None),
    ],
)
def test_what_is_asked_for_is_what_is_answered(
    tmp_path: Path, headers: dict[str, str], status: int, content_range: str | None
) -> None:
    response = file_response(tmp_path / "x", SIZE, media_type="audio/mpeg", etag=ETAG, headers=headers)
    assert response.status_code == status
    assert response.headers.get("content-range") == content_range
    assert response.headers["etag"] == ETAG
    assert response.headers["accept-ranges"] == "bytes"


def test_a_head_says_the_length_of_the_whole_and_sends_nothing(tmp_path: Path) -> None:
    response = file_response(
        tmp_path / "x", SIZE, media_type="audio/mpeg", etag=ETAG, headers={"range": "bytes=0-9"}, is_head=True
    )
    assert (response.status_code, response.headers["content-length"], response.body) == (200, "100", b"")
