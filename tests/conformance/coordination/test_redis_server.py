"""The real Redis of the tests can be lost in each of the ways that tests need."""

from __future__ import annotations

from tests.conformance.redis_server import running_redis


def test_a_killed_redis_comes_back_empty_on_the_same_port() -> None:
    with running_redis() as server:
        server.command("SET", "a", "1")
        port = server.port
        server.kill()
        server.start()
        assert server.port == port
        assert server.command("GET", "a") == b"$-1\r\n"


def test_flush_forgets_everything_and_a_password_is_asked_for() -> None:
    with running_redis(password="s3cret") as server:
        assert ":s3cret@" in server.url
        server.command("SET", "a", "1")
        server.flush()
        assert server.command("DBSIZE") == b":0\r\n"
