"""The door: who is let in at which path while no key is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from junto.core.errors import JuntoError, Unauthenticated
from junto.web.door import Door

if TYPE_CHECKING:
    from junto.web.asgi import Message, Receive, Scope, Send

pytestmark = pytest.mark.anyio


async def served(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def nobody(authorization: bytes | None, x_api_key: bytes | None) -> None:
    if (authorization, x_api_key) != (b"Bearer key", None):
        raise Unauthenticated("A key is needed.")


async def status_at(path: str, host: bytes) -> int:
    """What the door answers a POST that comes for that host, when it keeps strangers out."""
    door = Door(
        {"/plain": served, "/signed": served},
        served,
        make_id=lambda: "req_1",
        body_limit=lambda: 1_000,
        known=nobody,
        keeps_strangers_out=lambda: True,
        signed={"/signed"},
    )
    answers: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        answers.append(message)

    await door({"type": "http", "method": "POST", "path": path, "headers": [(b"host", host)]}, receive, send)
    return int(answers[0]["status"])


@pytest.mark.parametrize(
    ("path", "host", "status"),
    [
        ("/plain", b"127.0.0.1", 200),
        ("/plain", b"junto.example.com", 403),
        ("/other", b"junto.example.com", 403),
        ("/signed", b"127.0.0.1", 200),
        ("/signed", b"junto.example.com", 200),
        ("/signed/more", b"junto.example.com", 403),
    ],
)
async def test_a_foreign_name_leads_only_to_where_requests_are_signed(path: str, host: bytes, status: int) -> None:
    assert await status_at(path, host) == status


async def read_by_the_application(headers: list[tuple[bytes, bytes]], *pieces: int) -> int:
    """How many bytes the application behind the door is given of a body in such pieces; 401 when it is stopped."""
    read = 0

    async def reads(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal read
        while (message := await receive())["body"]:
            read += len(message["body"])

    door = Door({}, reads, make_id=lambda: "req_1", body_limit=lambda: 1_000_000, known=nobody)
    bodies = iter([*pieces, 0])

    async def receive() -> Message:
        return {"type": "http.request", "body": b"x" * next(bodies)}

    async def send(_: Message) -> None:
        pass

    try:
        await door({"type": "http", "method": "POST", "path": "/jobs/job_1/eval", "headers": headers}, receive, send)
    except JuntoError as error:
        return error.status
    return read


async def test_the_application_reads_large_bodies_only_of_those_who_are_known() -> None:
    """It parses them before it asks who sends them, and that takes the loop for seconds."""
    known = [(b"authorization", b"Bearer key")]
    assert await read_by_the_application([], 60_000) == 60_000
    assert await read_by_the_application([], 200_000) == 401
    assert await read_by_the_application([], 100_000, 100_000) == 401
    assert await read_by_the_application([(b"x-api-key", b"key")], 200_000) == 401
    assert await read_by_the_application(known, 200_000, 100_000) == 300_000
