"""Reads a URL that a user named, once and strictly: what two parsers could read differently is refused, not interpreted. Pure.

Must do no name look-up and know nothing of which addresses are allowed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Literal

type Address = IPv4Address | IPv6Address

LONGEST_URL = 2_048
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LONGEST_NAME = 253
_MAX_PORT = 65_535
# Printable ASCII that means the same to every parser: no blank, quote, angle or square bracket, backslash, caret, accent, brace or bar.
_TARGET = re.compile(r"(/[!$%&'()*+,\-./0-9:;=@A-Z_a-z~]*)?(\?[!$%&'()*+,\-./0-9:;=?@A-Z_a-z~]*)?")
_SHAPE = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^#]*)(#.*)?", re.DOTALL)
_AUTHORITY = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::([0-9]{1,5}))?")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
# A host whose last label looks like a number is read as an IPv4 address by some resolvers, in bases 8, 10 and 16.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


class UnfitUrl(ValueError):
    """The URL is not one that Junto calls; the message says why, as the end of a sentence that begins with the URL's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """One URL, taken apart. `host` is lower-case ASCII without brackets; `literal` is set where it is an address already."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    target: str  # path and query, as it stands in a request line
    literal: Address | None = None

    @property
    def host_header(self) -> str:
        """The value of the Host header: the port is left out where the scheme implies it."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return shown if self.port == _DEFAULT_PORTS[self.scheme] else f"{shown}:{self.port}"


def parse(url: str) -> Destination:
    """Take a URL apart; raises UnfitUrl."""
    if len(url) > LONGEST_URL:
        raise UnfitUrl(f"is longer than {LONGEST_URL} characters")
    if not url.isprintable() or any(c.isspace() for c in url) or "\\" in url:
        raise UnfitUrl("holds a blank, a control character or a backslash")
    shape = _SHAPE.fullmatch(url)
    if shape is None:
        raise UnfitUrl("is no whole address, like https://example.com/hook")
    scheme, authority, target, fragment = shape.groups()
    if scheme.lower() not in _DEFAULT_PORTS:
        raise UnfitUrl("is neither http nor https")
    if fragment is not None:
        raise UnfitUrl("has a fragment (#...)")
    if not _TARGET.fullmatch(target):
        raise UnfitUrl("has characters in its path or query that must be written as %XX")
    if "@" in authority:
        raise UnfitUrl("holds a user or password")
    host, port = _host_and_port(authority)
    name, literal = _host(host)
    target = target if target.startswith("/") else f"/{target}"
    kind: Literal["http", "https"] = "https" if scheme.lower() == "https" else "http"
    return Destination(scheme=kind, host=name, port=port or _DEFAULT_PORTS[kind], target=target, literal=literal)


def _host_and_port(authority: str) -> tuple[str, int | None]:
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise UnfitUrl("has a host or port that cannot be read")
    host, port = parts.groups()
    if port is None:
        return host, None
    if port.startswith("0") or int(port) > _MAX_PORT:
        raise UnfitUrl("has an impossible port")
    return host, int(port)


def _host(host: str) -> tuple[str, Address | None]:
    """The host as it is looked up, and the address if it is one."""
    if not host:
        raise UnfitUrl("has no host")
    if host.startswith("["):
        literal = _ipv6(host[1:-1])
        return str(literal), literal
    name = _ascii(host)
    if len(name) > _LONGEST_NAME or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise UnfitUrl("has a host that is no plain name and no plain address")
    if _NUMBER.fullmatch(name.rpartition(".")[2]):
        address = _ipv4(name)
        return str(address), address
    return name, None


def _ipv6(text: str) -> IPv6Address:
    try:
        address = ip_address(text)
    except ValueError:
        raise UnfitUrl("has an IPv6 address that cannot be read") from None
    if not isinstance(address, IPv6Address) or address.scope_id is not None:
        raise UnfitUrl("has brackets around something that is no IPv6 address, or one with a zone (%...)")
    return address


def _ipv4(text: str) -> IPv4Address:
    """Four decimal numbers and nothing else: 0x7f.1, 2130706433 and 0177.0.0.1 are addresses to some readers only."""
    try:
        return IPv4Address(text)
    except ValueError:
        raise UnfitUrl("has a host that looks like a number and is no plain IPv4 address") from None


def _ascii(host: str) -> str:
    """A name with letters beyond ASCII in its IDNA form, by the rules that refuse look-alikes of dots and digits."""
    if host.isascii():
        return host.lower()
    import httpx2  # noqa: PLC0415  only for the few names that need it: it takes two megabytes

    try:
        encoded = httpx2.URL(f"http://{host}/").raw_host.decode("ascii")
    except (httpx2.InvalidURL, UnicodeError, ValueError):
        raise UnfitUrl("has a host that is no valid international name") from None
    if encoded.count(".") != host.count("."):  # a full stop of another script
        raise UnfitUrl("has a host that is no valid international name")
    return encoded.lower()
