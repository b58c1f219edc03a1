"""What a route says about evidence: the gate that a candidate must clear, and the canary that is under way.

Owns the two values, their defaults and their documents, and which requests a canary takes. What clears a gate is evals/gate.py's.
"""

from __future__ import annotations

from enum import StrEnum
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

_WHOLE = 1 << 64


class Auto(StrEnum):
    """How far Junto goes by itself when a candidate clears the gate."""

    OFF = "off"  # a proposal, and nothing else
    CANARY = "canary"  # a canary begins; a person promotes it
    PROMOTE = "promote"  # a canary begins, and takes the route over when the gate holds again


class EvidenceGate(msgspec.Struct, frozen=True, kw_only=True):
    """What must be known before a candidate is proposed for a route; what a route leaves out is as here.

    `min_scores` pairs of scores by one rater, at least. The candidate may be at most `quality_margin` worse on the scale of
    scores (negative: it must be better by that much), known with `confidence`. `min_saving` is the share of the incumbent's
    cost per answer that it saves (negative: it may cost more). `max_failure_excess` is how much higher its share of failed
    attempts may be. `canary_share` is the share of requests that a canary begins with.
    """

    min_scores: int = 30
    confidence: float = 0.95
    quality_margin: float = 0.25
    min_saving: float = 0.2
    max_failure_excess: float = 0.05
    auto: Auto = Auto.OFF
    canary_share: float = 0.1


class Canary(msgspec.Struct, frozen=True, kw_only=True):
    """A model that answers a share of a route's requests (above 0, at most 1) in place of its preferred one."""

    model: str
    share: float

    def takes(self, task_type: str, key: str) -> bool:
        """Whether it answers the request of that id: always the same answer, and a larger share takes in a smaller one."""
        digest = blake2b(f"canary\0{task_type}\0{self.model}\0{key}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) < self.share * _WHOLE


def gate_document(gate: EvidenceGate | None) -> dict[str, Any] | None:
    """The gate as JSON values."""
    return None if gate is None else msgspec.to_builtins(gate)


def gate_from(document: Mapping[str, Any] | None) -> EvidenceGate | None:
    """The gate in a document whose types were checked; what it leaves out is the default."""
    if document is None:
        return None
    known = {name: document[name] for name in EvidenceGate.__struct_fields__ if document.get(name) is not None}
    return EvidenceGate(**{**known, "auto": Auto(known.get("auto", Auto.OFF))})


def canary_document(canary: Canary | None) -> dict[str, Any] | None:
    """The canary as JSON values."""
    return None if canary is None else msgspec.to_builtins(canary)


def canary_from(document: Mapping[str, Any] | None) -> Canary | None:
    """The canary in a document whose types were checked."""
    return None if document is None else Canary(model=document["model"], share=document["share"])
