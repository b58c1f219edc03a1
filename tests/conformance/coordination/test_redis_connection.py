"""Junto connects to every kind of Redis address that the configuration permits."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from junto.coordination.redis_connection import AWAY, Pauses, connect
from junto.core.secret import Secret
from tests.conformance.redis_server import RedisServer, free_port

pytestmark = pytest.mark.anyio


async def test_a_redis_behind_a_unix_socket_answers() -> None:
    with TemporaryDirectory() as directory:
        server = RedisServer(Path(directory), unix_socket=True)
        server.start()
        redis = connect(Secret(server.unix_url))
        try:
            assert await redis.ping()
        finally:
            await redis.aclose()
            server.stop()


@pytest.mark.parametrize("url", ["redis://127.0.0.1:{}/1", "rediss://u:p@127.0.0.1:{}", "unix:///nowhere/redis.sock"])
async def test_where_nobody_answers_the_error_is_one_that_is_expected(url: str) -> None:
    redis = connect(Secret(url.format(free_port())))
    try:
        with pytest.raises(AWAY):
            await redis.ping()
    finally:
        await redis.aclose()


async def test_pauses_grow_to_a_second_and_begin_again() -> None:
    pauses = Pauses()
    assert [pauses.next() for _ in range(7)] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    pauses.reset()
    assert pauses.next() == 0.05
