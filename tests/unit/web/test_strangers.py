"""Who may ask a Junto that needs no key."""

from __future__ import annotations

import pytest

from junto.core.errors import Forbidden
from junto.web.strangers import Strangers, is_of_this_machine


@pytest.mark.parametrize(
    "origin",
    ["http://localhost:3000", "http://127.0.0.1", "http://[::1]:8080", "https://app.localhost", "http://127.8.9.1:1"],
)
def test_pages_of_this_machine_may_ask(origin: str) -> None:
    assert is_of_this_machine(origin)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "",
        "http://localhost.evil.example",
        "http://127.0.0.1.evil.example",
        "http://10.0.0.1",
        "http://[::1",
    ],
)
def test_pages_of_strangers_may_not(origin: str) -> None:
    assert not is_of_this_machine(origin)


def test_a_rebound_name_is_refused_by_its_host() -> None:
    """The page thinks it asks its own server; the Host header gives it away."""
    with pytest.raises(Forbidden, match="Host"):
        Strangers().check([(b"host", b"evil.example:11430")])


def test_a_cross_site_post_is_refused_by_its_origin() -> None:
    with pytest.raises(Forbidden, match="Origin"):
        Strangers().check([(b"host", b"127.0.0.1:11430"), (b"origin", b"https://evil.example")])


def test_programs_send_no_origin_and_pass() -> None:
    strangers = Strangers()
    for _ in range(2):
        strangers.check([(b"host", b"localhost:11430"), (b"accept", b"*/*")])
