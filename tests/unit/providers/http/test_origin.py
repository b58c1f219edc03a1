"""What an origin accepts and what a request head refuses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.providers.http import Origin, prepare_head

ORIGIN = Origin.parse("http://10.0.0.5:8000/v1")


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://10.0.0.5:8000/v1", Origin("http", "10.0.0.5", 8000, "/v1")),
        ("https://api.example.com", Origin("https", "api.example.com", 443, "")),
        ("HTTP://Example.com/", Origin("http", "example.com", 80, "")),
        ("http://[::1]:11434/a/b/", Origin("http", "::1", 11434, "/a/b")),
    ],
)
def test_an_address_is_read_into_its_parts(url: str, origin: Origin) -> None:
    assert Origin.parse(url) == origin


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a/",
        "//a/",
        "a:80",
        "http://",
        "http:///v1",
        "http://user:secret@a/",
        "http://user@a/",
        "http://@a/",
        "http://a/?x=1",
        "http://a/?",
        "http://a/#f",
        "http://a/#",
        "http://a\r\nX: y/",
        "http://a/v1\r\n",
        "http://a/\tv1",
        "http://a /",
        "http://a/\x00",
        "http://a\\b/",
        "http://ä.example/",
        "http://.a/",
        "http://a:0/",
        "http://a:70000/",
        "http://a:x/",
        "http://a/<b>",
        "",
    ],
)
def test_an_address_that_is_not_plainly_an_origin_is_refused(url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the message is for people
        Origin.parse(url)


def test_an_origin_made_by_hand_is_checked_like_a_parsed_one() -> None:
    with pytest.raises(ValueError, match="host"):
        Origin("http", "a\r\nX: y", 80)
    with pytest.raises(ValueError, match="path"):
        Origin("http", "a", 80, "/v1/")


def test_a_head_joins_the_path_to_the_base_and_leaves_the_length_to_the_request() -> None:
    head = prepare_head(ORIGIN, "POST", "/chat?x=1", [("Authorization", "Bearer k"), ("X-Name", "Müller ")])
    assert head == (
        b"POST /v1/chat?x=1 HTTP/1.1\r\nHost: 10.0.0.5:8000\r\nAuthorization: Bearer k\r\nX-Name: M\xfcller\r\n"
    )


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://a", b"a"),
        ("https://a", b"a"),
        ("https://a:80", b"a:80"),
        ("http://[::1]", b"[::1]"),
        ("http://[::1]:81", b"[::1]:81"),
    ],
)
def test_the_host_header_names_the_port_only_where_the_scheme_does_not_imply_it(url: str, host: bytes) -> None:
    assert b"\r\nHost: " + host + b"\r\n" in prepare_head(Origin.parse(url), "GET", "/", [])


@pytest.mark.parametrize("method", ["", "get", "GET ", "GET\r\n", "G\x00T", "CONNECT", "POST / HTTP/1.1\r\nX:"])
def test_a_method_that_is_not_a_token_is_refused(method: str) -> None:
    with pytest.raises(ValueError, match=r"method|tunnel"):
        prepare_head(ORIGIN, method, "/", [])


@pytest.mark.parametrize("path", ["", "v1", "/a b", "/a\r\nX: y", "/a\n", "/\x00", "/ü", "/a#b", "http://b/"])
def test_a_path_that_could_end_the_request_line_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        prepare_head(ORIGIN, "GET", path, [])


@pytest.mark.parametrize(
    "header",
    [
        ("X", "a\r\nY: b"),
        ("X", "a\nb"),
        ("X", "a\rb"),
        ("X", "a\x00b"),
        ("X", "\u20ac"),
        ("X", "a\x7f"),
        ("X\r\nY", "a"),
        ("X:", "a"),
        ("X Y", "a"),
        ("", "a"),
        ("Ü", "a"),
    ],
)
def test_a_header_that_could_become_another_is_refused(header: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="header"):
        prepare_head(ORIGIN, "GET", "/", [header])


@pytest.mark.parametrize(
    "name", ["Host", "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "Expect", "Proxy-Authorization"]
)
def test_the_headers_that_frame_a_message_are_not_a_callers(name: str) -> None:
    with pytest.raises(ValueError, match="belongs to the HTTP client"):
        prepare_head(ORIGIN, "POST", "/", [(name, "1")])


@given(name=st.text(max_size=8), value=st.text(max_size=12), path=st.text(max_size=8))
def test_whatever_is_accepted_is_exactly_three_lines(name: str, value: str, path: str) -> None:
    try:
        head = prepare_head(ORIGIN, "GET", "/" + path, [(name, value)])
    except ValueError:
        return
    lines = head.split(b"\r\n")
    assert len(lines) == 4
    assert lines[-1] == b""
    assert not any(bad in line for line in lines for bad in (b"\r", b"\n", b"\x00"))
