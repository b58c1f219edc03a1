"""Coordination is opened over Redis where there is one and in memory elsewhere, and never shows the password of Redis."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from io import StringIO
from typing import TYPE_CHECKING

import pytest
import structlog

from junto.bootstrap.clock import SystemClock
from junto.bootstrap.coordination import open_coordination
from junto.core.limits import LimitedBy, Limits
from junto.core.secret import Secret
from junto.telemetry.logging import configure
from tests.conformance.coordination.waiting import until
from tests.conformance.redis_server import free_port, running_redis

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio

LIMITED = LimitedBy(client_id="c", client=Limits(requests_per_minute=100), tenant_id="t")
PASSWORD = "a-password-for-tests"


@pytest.fixture
def logged() -> Iterator[StringIO]:
    """What is logged, of libraries too, and at every level; afterwards logging is as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    written = StringIO()
    configure("debug", stream=written)
    root.setLevel(logging.DEBUG)
    try:
        yield written
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.captureWarnings(capture=False)
        structlog.reset_defaults()


@pytest.mark.parametrize("where", ["memory", "redis"])
async def test_signals_queue_and_limits_work_and_end_with_the_stack(where: str) -> None:
    with running_redis(password=PASSWORD) as server:
        heard: list[bytes] = []
        handled: list[str] = []

        async def handle(tenant_id: str, job_id: str) -> None:
            handled.append(tenant_id + job_id)

        async with AsyncExitStack() as stack:
            url = None if where == "memory" else Secret(server.url)
            opened = await open_coordination(url, node_id="one", clock=SystemClock(), stack=stack)
            opened.signals.subscribe("keys", heard.append)
            await opened.signals.publish("keys", b"1")
            await opened.queue.start(handle, concurrency=1)
            assert await opened.queue.publish("t", "j")
            permit = await opened.limiter.acquire(LIMITED, 0)
            permit.settle(0)
            await until(lambda: heard == [b"1"] and handled == ["tj"])
        assert server.command("ZCARD", "{junto:limits}:nodes") == b":0\r\n"  # it said good-bye


async def test_the_password_is_in_no_log_whether_redis_is_there_away_or_refuses_it(
    logged: StringIO,
) -> None:
    with running_redis(password="another one") as server:
        away = f"redis://:{PASSWORD}@127.0.0.1:{free_port()}/0"
        refusing = f"redis://junto:{PASSWORD}@127.0.0.1:{server.port}/0"
        for url in (away, refusing):
            async with AsyncExitStack() as stack:
                opened = await open_coordination(Secret(url), node_id="one", clock=SystemClock(), stack=stack)
                assert opened.limiter.alone
                await opened.signals.publish("keys", b"1")
                assert not await opened.queue.publish("t", "j")
                assert await opened.queue.depth() is None
                (await opened.limiter.acquire(LIMITED, 0)).settle(0)
    assert "redis.away" in logged.getvalue()
    assert PASSWORD not in logged.getvalue()


async def test_an_address_that_cannot_be_one_is_refused() -> None:
    async with AsyncExitStack() as stack:
        with pytest.raises(ValueError, match="scheme"):
            await open_coordination(Secret("http://redis"), node_id="one", clock=SystemClock(), stack=stack)


async def test_a_redis_that_goes_is_missed_once_and_one_that_comes_back_is_found(logged: StringIO) -> None:
    """Three things use it; whoever looks sees one state, and reads of it when it changes."""
    with running_redis() as server:
        async with AsyncExitStack() as stack:
            opened = await open_coordination(Secret(server.url), node_id="one", clock=SystemClock(), stack=stack)
            redis_up = opened.redis_up
            assert redis_up is not None
            assert redis_up()
            await opened.queue.start(_nothing, concurrency=1)
            for _ in range(2):
                server.kill()
                await until(lambda: not redis_up())
                for _ in range(3):
                    await opened.signals.publish("keys", b"1")
                server.start()
                await until(redis_up)
    said = logged.getvalue()
    assert said.count("redis.away") == said.count("redis.back") >= 2


async def test_without_an_address_there_is_no_redis_to_be_up() -> None:
    async with AsyncExitStack() as stack:
        opened = await open_coordination(None, node_id="one", clock=SystemClock(), stack=stack)
        assert opened.redis_up is None


async def _nothing(_tenant_id: str, _job_id: str) -> None:
    """Take a hint."""
