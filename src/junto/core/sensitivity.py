"""Sensitivity tiers and localities: the two words that the floor is made of.

Owns their order and their spelling. Does not decide where a request may go (routing/filters.py, gateway/egress.py).
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Self

from junto.core.errors import InvalidField


class Sensitivity(IntEnum):
    """How far a request's content may travel; higher is stricter."""

    label: str  # the name used on the wire

    def __new__(cls, rank: int, label: str) -> Self:
        member = int.__new__(cls, rank)
        member._value_ = rank
        member.label = label
        return member

    PUBLIC = 0, "public"
    INTERNAL = 1, "internal"
    CONFIDENTIAL = 2, "confidential"


class Locality(StrEnum):
    """Who runs the machine that a deployment answers from."""

    LOCAL = "local"
    CLOUD = "cloud"


_BY_LABEL = {tier.label: tier for tier in Sensitivity}


def parse_sensitivity(label: object, *, param: str = "sensitivity") -> Sensitivity:
    """Read a tier as a caller wrote it; anything but the three names is refused (422), never guessed."""
    tier = _BY_LABEL.get(label) if isinstance(label, str) else None
    if tier is None:
        shown = repr(label)[:80]
        raise InvalidField(f"{shown} is not a sensitivity: use public, internal or confidential.", param=param)
    return tier


def strictest(*tiers: Sensitivity | None) -> Sensitivity:
    """The highest of the tiers that are known; when none is known, confidential."""
    known = [tier for tier in tiers if tier is not None]
    return max(known) if known else Sensitivity.CONFIDENTIAL
