"""Requests of one turn of the loop: the first goes out at once, the others together at its end."""

import asyncio
from typing import Any

import pytest

from junto.providers.http.cork import Cork

pytestmark = pytest.mark.anyio


class Socket:
    def __init__(self, wire: list[bytes]) -> None:
        self._wire = wire
        self.closing = False

    def write(self, data: bytes) -> None:
        self._wire.append(data)

    def is_closing(self) -> bool:
        return self.closing


def corked(wire: list[bytes], cork: Cork, *requests: bytes) -> list[Any]:
    sockets: list[Any] = [Socket(wire) for _ in requests]
    for socket, request in zip(sockets, requests, strict=True):
        cork.write(asyncio.get_running_loop(), socket, request)
    return sockets


async def test_the_first_of_a_turn_is_written_at_once_and_the_rest_at_its_end_in_order() -> None:
    wire: list[bytes] = []
    corked(wire, Cork(), b"1", b"2", b"3")
    assert wire == [b"1"]
    await asyncio.sleep(0)
    assert wire == [b"1", b"2", b"3"]


async def test_a_connection_that_was_given_up_within_the_turn_is_not_written_to() -> None:
    wire: list[bytes] = []
    sockets = corked(wire, Cork(), b"1", b"2", b"3")
    sockets[1].closing = True
    await asyncio.sleep(0)
    assert wire == [b"1", b"3"]


async def test_each_turn_begins_anew() -> None:
    wire: list[bytes] = []
    cork = Cork()
    corked(wire, cork, b"1")
    await asyncio.sleep(0)
    corked(wire, cork, b"2")
    assert wire == [b"1", b"2"]
