"""Whether a request comes in at all: readable, recorded, permitted, and at which tier.

Limits and budgets of clients will be asked here. Decides nothing about deployments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from junto.core.errors import Overloaded
from junto.core.sensitivity import Sensitivity, parse_sensitivity
from junto.gateway.exchange import Arrival, Exchange
from junto.routing.sensitivity import effective_sensitivity

if TYPE_CHECKING:
    from junto.ports.clock import Clock
    from junto.ports.stores import Recorder

_LONGEST_TASK = 200  # characters; it is stored and logged with the metadata, so it must not carry content
_NO_ROOM_RETRY_AFTER = 5.0  # seconds; the flusher tries again at least that often


class Admission:
    """Turns arrivals into exchanges, or refuses them."""

    def __init__(self, *, recorder: Recorder, clock: Clock) -> None:
        self._recorder = recorder
        self._clock = clock

    def admit(self, arrival: Arrival, default: Sensitivity) -> Exchange:
        """The exchange, with its tier fixed for good; raises InvalidRequest or Overloaded."""
        if not self._recorder.has_room:
            raise Overloaded("Exchanges cannot be recorded right now.", retry_after=_NO_ROOM_RETRY_AFTER)
        head = arrival.wire.peek(arrival.body)
        metadata = head.metadata
        return Exchange(
            id=arrival.id,
            arrival=arrival,
            head=head,
            principal=arrival.principal,
            sensitivity=effective_sensitivity(
                default=default,
                principal_min=arrival.principal.min_sensitivity,
                asked_header=_asked(arrival.sensitivity, "X-Junto-Sensitivity"),
                asked_body=_asked(metadata.get("sensitivity"), "metadata.sensitivity"),
            ),
            task_type=(arrival.task_type or metadata.get("task_type", ""))[:_LONGEST_TASK],
            started=self._clock.monotonic(),
            started_ms=self._clock.wall_ms(),
            attempts=[],
        )


def _asked(label: str | None, param: str) -> Sensitivity | None:
    return None if label is None else parse_sensitivity(label, param=param)
