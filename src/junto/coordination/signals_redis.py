"""Signals between processes by Redis' pub/sub. The twin of signals_memory.py.

One channel carries all topics: they are few and every node hears nearly all of them. What this process publishes it hears
without Redis, so that its own caches are fresh even while Redis is away.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec

from junto.coordination.redis_connection import AWAY, PATIENCE, Pauses, Presence, connect
from junto.coordination.subscribers import Subscribers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from redis.asyncio.client import PubSub

    from junto.core.secret import Secret

_CHANNEL: Final = "junto:signals"
_PURPOSE: Final = "signals"
_QUIET_SECONDS = 3.0  # after which the connection is asked whether it lives; a hung Redis is left after twice that


class _Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    origin: str
    topic: str
    payload: bytes


class RedisSignals:
    """Implements ports.signals.Signals over one Redis; `node_id` is this process' own."""

    def __init__(
        self,
        url: Secret,
        node_id: str,
        *,
        quiet_seconds: float = _QUIET_SECONDS,
        presence: Presence | None = None,
    ) -> None:
        self._redis = connect(url)
        self._node_id = node_id
        self._quiet_seconds = quiet_seconds
        self._subscribers = Subscribers()
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(_Message)
        self._presence = presence or Presence()
        self._task: asyncio.Task[None] | None = None
        self._hearing = asyncio.Event()

    async def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._receive(), name="junto-signals")

    async def close(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        with suppress(*AWAY):
            await self._redis.aclose()

    async def heard(self) -> None:
        """Wait until messages of others are received."""
        await self._hearing.wait()

    async def publish(self, topic: str, payload: bytes = b"") -> None:
        self._subscribers.deliver(topic, payload)
        message = self._encoder.encode(_Message(self._node_id, topic, payload))
        try:
            await asyncio.wait_for(self._redis.publish(_CHANNEL, message), PATIENCE)
        except AWAY as error:
            self._presence.lost(_PURPOSE, error)

    def subscribe(self, topic: str, on_message: Callable[[bytes], None]) -> Callable[[], None]:
        return self._subscribers.add(topic, on_message)

    async def _receive(self) -> None:
        pauses = Pauses()
        while True:
            subscription = self._redis.pubsub()
            try:
                await subscription.subscribe(_CHANNEL)
                await self._hear(subscription, pauses)
            except AWAY as error:
                self._presence.lost(_PURPOSE, error)
            finally:
                self._hearing.clear()
                with suppress(*AWAY):
                    await subscription.aclose()  # type: ignore[no-untyped-call]
            await asyncio.sleep(pauses.next())

    async def _hear(self, subscription: PubSub, pauses: Pauses) -> None:
        """Deliver until the connection breaks or has been silent after a question."""
        asked = False
        while True:
            message = await subscription.get_message(timeout=self._quiet_seconds)
            if message is not None:
                asked = False
                pauses.reset()
                self._presence.found(_PURPOSE)
                self._take(message)
            elif asked:
                raise TimeoutError("no answer on the subscription")
            else:
                await subscription.ping()
                asked = True

    def _take(self, message: Mapping[str, object]) -> None:
        if message.get("type") == "subscribe":
            self._hearing.set()
        data = message.get("data")
        if message.get("type") != "message" or not isinstance(data, bytes):
            return
        with suppress(msgspec.DecodeError):  # not one of ours: somebody else uses the channel's name
            heard = self._decoder.decode(data)
            if heard.origin != self._node_id:
                self._subscribers.deliver(heard.topic, heard.payload)
