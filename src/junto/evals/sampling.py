"""Which exchanges have shadows: pure, and the same whenever and wherever it is asked, so that a rate is exact over time."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from junto.core.chat import Operation
from junto.core.exchange import Outcome
from junto.routing.routes import DEFAULT_TASK

if TYPE_CHECKING:
    from junto.core.exchange import ExchangeRecord
    from junto.routing.route_table import RouteTable
    from junto.routing.routes import Route, ShadowModel

_BYTES: Final = 8
_ALL: Final = float(1 << 8 * _BYTES)


def is_sampled(source_id: str, model: str, rate: float) -> bool:
    """Whether the answer to that source has a shadow by that model; of many sources, the share `rate` has.

    Shares of different models are independent of each other. A higher rate samples what a lower one does, and more.
    """
    digest = blake2b(f"{source_id}\0{model}".encode("utf-8", "surrogatepass"), digest_size=_BYTES).digest()
    return int.from_bytes(digest) < rate * _ALL


def is_eligible(record: ExchangeRecord) -> bool:
    """Whether an exchange is a caller's own chat that went well and is there whole, under a task."""
    return (
        record.task_type != ""
        and record.purpose == ""
        and record.parent_id == ""
        and record.outcome is Outcome.OK
        and record.operation == Operation.CHAT.value
        and record.request_body != b""
        and not record.truncated
    )


def route_of(table: RouteTable, task_type: str) -> Route | None:
    """The route in force for a task: its own, or the default one."""
    return table.find(task_type) or table.find(DEFAULT_TASK)


def source_of(record: ExchangeRecord) -> tuple[str, str]:
    """What the exchange is for, by kind and id: a job however many attempts it takes, or itself."""
    return ("job", record.job_id) if record.job_id else ("exchange", record.id)


def sampled(record: ExchangeRecord, route: Route) -> tuple[ShadowModel, ...]:
    """The candidates that are asked the same; a model is no shadow of itself."""
    if not route.shadow_models:
        return ()
    _, source_id = source_of(record)
    return tuple(
        shadow
        for shadow in route.shadow_models
        if shadow.model != record.model and is_sampled(source_id, shadow.model, shadow.rate)
    )
