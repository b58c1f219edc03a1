"""The shared store of limits in Redis: one script carries a visit out at one moment, by Redis' own clock.

The rules are in limiter.lua; the twin in this process is limiter_memory.py. No visit is sent twice: one whose answer was lost
may have been carried out.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import msgspec

from junto.coordination.redis_connection import AWAY, PATIENCE, Presence, connect
from junto.ports.limiter import (
    LEASE_MS,
    NODE_MS,
    WINDOW_MS,
    Answer,
    AskAgain,
    BucketsAway,
    Granted,
    Outcome,
    Refused,
    Visit,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from junto.core.secret import Secret

_PREFIX: Final = "{junto:limits}:"
_PURPOSE: Final = "limits"
_SETTLE_MS: Final = (
    2_000  # a new epoch waits so long for nodes that lived through the loss; they look every half second
)
_DELIVERY_MS: Final = 250  # how long an answer may take on its way
_WIDTH_MS: Final = 250  # what is granted within it is one entry: a bucket has a few hundred at most
_GRANTED: Final = 1
_REFUSED: Final = 0


class _Raw(msgspec.Struct, array_like=True):
    """The answer as the script writes it."""

    epoch: str
    settling_ms: int
    nodes: int
    rank: int
    lapsed: bool
    stamp: int
    lease_stamp: int
    outcomes: list[list[int | list[int]]]


class RedisBuckets:
    """Implements ports.limiter.Buckets over one Redis."""

    def __init__(
        self,
        url: Secret,
        *,
        prefix: str = _PREFIX,
        window_ms: int = WINDOW_MS,
        settle_ms: int = _SETTLE_MS,
        presence: Presence | None = None,
    ) -> None:
        self._redis = connect(url, connections=2)
        source = files("junto.coordination").joinpath("limiter.lua").read_text(encoding="utf-8")
        self._script = self._redis.register_script(source)
        self._prefix = prefix
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(_Raw)
        self._constants = self._encoder.encode((window_ms, settle_ms, LEASE_MS, _DELIVERY_MS, _WIDTH_MS, NODE_MS))
        self._presence = presence or Presence()

    async def visit(self, visit: Visit) -> Answer:
        arguments = [self._encoder.encode(visit), self._constants]
        try:
            async with asyncio.timeout(PATIENCE):
                reply = await self._script(keys=[self._prefix], args=arguments)
            raw = self._decoder.decode(reply)
        except (*AWAY, msgspec.DecodeError) as error:
            self._presence.lost(_PURPOSE, error)
            raise BucketsAway(str(error)) from error
        self._presence.found(_PURPOSE)
        return Answer(
            epoch=raw.epoch,
            settling_ms=raw.settling_ms,
            nodes=raw.nodes,
            rank=raw.rank,
            lapsed=raw.lapsed,
            stamp=raw.stamp,
            lease_stamp=raw.lease_stamp,
            delivery_ms=_DELIVERY_MS,
            outcomes=tuple(_outcome(each) for each in raw.outcomes),
        )

    async def close(self) -> None:
        with suppress(*AWAY):
            await self._redis.aclose()


def _outcome(raw: Sequence[int | list[int]]) -> Outcome:
    match raw:
        case [kind, list(extras), list(remaining)] if kind == _GRANTED:
            return Granted(tuple(extras), tuple(remaining))
        case [kind, int(index), int(wait_ms), int(remaining)] if kind == _REFUSED:
            return Refused(index, wait_ms, remaining)
    return AskAgain()
