"""What the pipeline works with at one moment: a catalog snapshot and the targets behind it, swapped whole on reload.

Requests under way keep the runtime they began with. Holds no per-request state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from junto.core.sensitivity import Sensitivity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from junto.catalog.resolve import Snapshot
    from junto.gateway.slots import SlotPool
    from junto.ports.provider import Deadlines, Provider
    from junto.routing.facts import DeploymentFacts, Policy

type Header = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True, weakref_slot=True, kw_only=True)
class Target:
    """One deployment with everything that an attempt at it needs, prepared once per configuration.

    `key_hint` says where the key of its backend is configured, for the log.
    """

    deployment: DeploymentFacts
    provider: Provider
    deadlines: Deadlines
    cold_deadlines: Deadlines  # while the model has to be loaded first
    slots: SlotPool | None
    headers: tuple[Header, ...]
    head_lines: bytes  # the same, as they stand in a response's head
    key_hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """A consistent view: names, targets by deployment key, and the operator's rules.

    `keep` says per tier how much of an exchange is stored: full, metadata or none.
    """

    snapshot: Snapshot
    targets: Mapping[str, Target]
    policy: Policy
    default_sensitivity: Sensitivity
    keep: Mapping[Sensitivity, str]


class Current:
    """The one place that names the runtime in force; assignment is the swap."""

    __slots__ = ("runtime",)

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime


def target_headers(deployment: DeploymentFacts) -> tuple[Header, ...]:
    """The response headers that say who answered; names are made safe for a header line."""
    return (
        (b"x-junto-model", _header_value(deployment.model)),
        (b"x-junto-backend", _header_value(deployment.backend)),
    )


def lines_of(headers: Iterable[Header]) -> bytes:
    """Headers as lines of a message's head; their values are safe by the time they are headers."""
    return b"".join(b"%b: %b\r\n" % header for header in headers)


def _header_value(text: str) -> bytes:
    return "".join(c if " " < c <= "~" else "?" for c in text)[:200].encode("ascii")
