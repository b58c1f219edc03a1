"""The loads of the jobs' part, in their order. Pure."""

from typing import Final

from bench import payload
from bench.mock import AT_ONCE
from bench.process import Gateway
from bench.spec import Load
from bench.subjects.subject import CHAT_PATH

WAITING: Final = 500
"""Jobs that wait for their upstream at the same time."""

_CALLERS: Final = 16
_MANY: Final = 8


def direct(mock: Gateway, seconds: float) -> Load:
    """The stream that an attempt at a job reads, asked of the mock itself."""
    return Load(
        port=mock.door.port,
        path=AT_ONCE + CHAT_PATH,
        body=payload.request(stream=True),
        expect=payload.STREAM_TEXT,
        kind="stream",
        connections=1,
        seconds=seconds,
        warm_seconds=0.1,
    )


def at_once(gateway: Gateway, seconds: float, *, callers: int = 1) -> Load:
    """Jobs that are done while their caller waits."""
    return _load(gateway, payload.job(model=payload.CLOUD_MODEL), callers=callers, seconds=seconds)


def queued(gateway: Gateway, seconds: float, *, callers: int = 1) -> Load:
    """Jobs that go through the queue to the worker, and whose caller waits all the same."""
    return _load(gateway, payload.job(model=payload.LOCAL_MODEL, wait_s=60), callers=callers, seconds=seconds)


def many_at_once(gateway: Gateway, seconds: float) -> Load:
    """The same with several callers."""
    return at_once(gateway, seconds, callers=_MANY)


def many_queued(gateway: Gateway, seconds: float) -> Load:
    """The same with several callers."""
    return queued(gateway, seconds, callers=_MANY)


def waiting(gateway: Gateway) -> Load:
    """Jobs whose upstream takes seconds, all at the same time."""
    return Load(
        port=gateway.door.port,
        path="/jobs",
        headers=dict(gateway.door.headers),
        body=payload.job(model=payload.SLOW_MODEL, wait_s=120),
        expect=payload.STREAM_TEXT,
        kind="job",
        connections=WAITING,
        requests=WAITING,
        patience_s=60.0,
    )


def accepted(gateway: Gateway, seconds: float) -> Load:
    """Jobs that are written down behind a backlog."""
    return Load(
        port=gateway.door.port,
        path="/jobs",
        headers=dict(gateway.door.headers),
        body=payload.job(model=payload.SLOW_MODEL, later=True),
        expect="pending",
        kind="accepted",
        connections=_CALLERS,
        seconds=seconds,
        warm_requests=100,
    )


def _load(gateway: Gateway, body: str, *, callers: int, seconds: float) -> Load:
    return Load(
        port=gateway.door.port,
        path="/jobs",
        headers=dict(gateway.door.headers),
        body=body,
        expect=payload.STREAM_TEXT,
        kind="job",
        connections=callers,
        seconds=seconds,
        warm_seconds=min(0.5, seconds),
    )
