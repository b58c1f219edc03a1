"""Which URLs Junto calls for its users, and which it refuses with a reason."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.core.errors import InvalidField
from junto.providers.outbound.guard import Guard
from junto.providers.outbound.ranges import Allowed, refusal
from junto.providers.outbound.urls import UnfitUrl, parse
from tests.unit.providers.outbound.corpus import BAD, GOOD, Names

pytestmark = pytest.mark.anyio


def guard(*allow: str, names: Names | None = None) -> Guard:
    return Guard(allowed=lambda: Allowed.of(allow), resolve=names or Names())


def test_the_corpus_is_as_large_as_was_promised() -> None:
    """Sixty at the least, none of them twice."""
    urls = [url for _, url in BAD]
    assert len(urls) == len(set(urls)) >= 60


@pytest.mark.parametrize("url", GOOD)
async def test_public_addresses_pass(url: str) -> None:
    await guard().check(url)


@pytest.mark.parametrize(("words", "url"), BAD, ids=[ascii(url)[:60] for _, url in BAD])
async def test_everything_else_is_refused_with_its_reason(words: str, url: str) -> None:
    with pytest.raises(InvalidField) as refused:
        await guard().check(url)
    assert words in refused.value.message


@pytest.mark.parametrize("url", [url for _, url in BAD if "127" in url or "localhost" in url.lower() or "0x" in url])
async def test_no_spelling_of_an_address_is_looked_up(url: str) -> None:
    """A resolver might read numbers in ways that the check does not."""
    names = Names()
    with pytest.raises(InvalidField):
        await guard(names=names).check(url)
    assert names.asked in ([], ["localhost"])


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("10.0.0.0/8", "http://10.0.0.1/"),
        ("10.0.0.1", "http://10.0.0.1/"),
        ("10.0.0.0/24", "http://intranet/hook"),
        ("intranet", "http://intranet/hook"),
        ("INTRANET", "http://Intranet/hook"),
        ("127.0.0.0/8", "http://[::ffff:127.0.0.1]:9000/"),
        ("fd12:3456:789a::/48", "http://private-aaaa.example/"),
        ("mixed.example", "http://mixed.example/"),
        ("10.0.0.7", "http://mixed.example/"),
        ("::1", "http://[::1]/"),
    ],
)
async def test_what_the_operator_lists_is_allowed(entry: str, url: str) -> None:
    await guard(entry).check(url)


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("10.0.0.0/24", "http://10.0.1.1/"),
        ("intranet", "http://10.0.0.7/"),
        ("example.com", "http://private-a.example/"),
        ("93.184.215.14", "http://mixed.example/"),
        ("10.0.0.0/8", "http://user@10.0.0.1/"),
        ("127.0.0.1", "http://2130706433/"),
    ],
)
async def test_what_is_listed_opens_nothing_else(entry: str, url: str) -> None:
    with pytest.raises(InvalidField):
        await guard(entry).check(url)


async def test_the_refusal_of_a_name_does_not_tell_its_address() -> None:
    """Whoever may submit a job must not be able to read the names of the operator's network."""
    with pytest.raises(InvalidField) as refused:
        await guard().check("http://intranet/")
    assert "10.0" not in refused.value.message


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_no_public_ipv4_is_what_the_standard_library_calls_private(address: IPv4Address) -> None:
    if refusal(address) is None:
        assert address.is_global
        assert not address.is_multicast


@given(st.integers(0, 2**128 - 1).map(IPv6Address))
def test_no_public_ipv6_is_what_the_standard_library_calls_private(address: IPv6Address) -> None:
    if refusal(address) is None:
        assert address.is_global
        assert not address.is_multicast


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_an_ipv4_address_is_judged_the_same_inside_ipv6(address: IPv4Address) -> None:
    """Mapped, NAT64 and 6to4."""
    for text in (
        f"::ffff:{address}",
        f"64:ff9b::{address}",
        f"2002:{int(address) >> 16:x}:{int(address) & 0xFFFF:x}::1",
    ):
        assert refusal(ip_address(text)) == refusal(address)


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    """And nothing else happens, whatever it is."""
    for url in (text, f"http://{text}", f"http://{text}/", f"https://example.com/{text}"):
        try:
            destination = parse(url)
        except UnfitUrl:
            continue
        assert destination.host
        assert destination.host.isascii()
        assert not set(destination.host + destination.target) & set(
            " \r\n\t\\@#" if "@" not in destination.target else " \r\n\t\\#"
        )
        assert 0 < destination.port < 65_536
