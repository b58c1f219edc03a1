"""Which addresses are of the public internet, and which of the others the operator has listed. Pure.

The table is written out rather than left to the standard library, whose notion of `global` has changed between releases
and includes multicast and addresses that carry an IPv4 address inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

    from junto.providers.outbound.urls import Address

_V4: tuple[tuple[str, str], ...] = (
    ("0.0.0.0/8", "an address of this network"),
    ("10.0.0.0/8", "a private address"),
    ("100.64.0.0/10", "a carrier's private address"),
    ("127.0.0.0/8", "a loopback address"),
    ("168.63.129.16/32", "a metadata service"),
    ("169.254.0.0/16", "a link-local address, where metadata services are"),
    ("172.16.0.0/12", "a private address"),
    ("192.0.0.0/24", "a reserved address"),
    ("192.0.2.0/24", "an address for documentation"),
    ("192.88.99.0/24", "a reserved address"),
    ("192.168.0.0/16", "a private address"),
    ("198.18.0.0/15", "an address for benchmarks"),
    ("198.51.100.0/24", "an address for documentation"),
    ("203.0.113.0/24", "an address for documentation"),
    ("224.0.0.0/4", "a multicast address"),
    ("240.0.0.0/4", "a reserved address"),
)
_V6: tuple[tuple[str, str], ...] = (
    ("::/128", "an address of this network"),
    ("::1/128", "a loopback address"),
    ("fc00::/7", "a private address"),
    ("fe80::/10", "a link-local address"),
    ("fec0::/10", "a private address"),
    ("ff00::/8", "a multicast address"),
    ("2001::/23", "a reserved address"),  # Teredo and other protocols' own
    ("2001:db8::/32", "an address for documentation"),
    ("3fff::/20", "an address for documentation"),
)
_V4_REFUSED = tuple((IPv4Network(network), word) for network, word in _V4)
_V6_REFUSED = tuple((IPv6Network(network), word) for network, word in _V6)
_V6_PUBLIC = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_COMPATIBLE = IPv6Network("::/96")


def refusal(address: Address) -> str | None:
    """What kind of address it is, if it is not one of the public internet; None if it is."""
    if isinstance(address, IPv4Address):
        return next((word for network, word in _V4_REFUSED if address in network), None)
    known = next((word for network, word in _V6_REFUSED if address in network), None)
    if known is not None:
        return known
    embedded = embedded_ipv4(address)
    if embedded is not None:
        return refusal(embedded)
    return None if address in _V6_PUBLIC else "a reserved address"


def embedded_ipv4(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that a packet to this one may end up at: mapped, compatible, NAT64, 6to4."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64 or address in _COMPATIBLE:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """What the operator has listed (`outbound.allow`): hosts by their exact name, networks by CIDR, single addresses."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def of(cls, entries: Iterable[str]) -> Self:
        """Read the entries of the configuration; what is no network or address is a host's name."""
        hosts: set[str] = set()
        networks: list[IPv4Network | IPv6Network] = []
        for entry in entries:
            try:
                networks.append(ip_network(entry.strip("[]")))
            except ValueError:
                hosts.add(entry.lower())
        return cls(hosts=frozenset(hosts), networks=tuple(networks))

    def has_host(self, host: str) -> bool:
        """Whether that host is listed by name."""
        return host in self.hosts

    def has_address(self, address: Address) -> bool:
        """Whether that address, or the IPv4 address that it stands for, is in a listed network."""
        forms: tuple[Address, ...] = (address,)
        if isinstance(address, IPv6Address) and (embedded := embedded_ipv4(address)) is not None:
            forms = (address, embedded)
        return any(form in network for form in forms for network in self.networks)
