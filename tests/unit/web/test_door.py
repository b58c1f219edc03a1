"""The door: who is let in at which path while no key is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from junto.web.door import Door

if TYPE_CHECKING:
    from junto.web.asgi import Message, Receive, Scope, Send

pytestmark = pytest.mark.anyio


async def served(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def status_at(path: str, host: bytes) -> int:
    """What the door answers a POST that comes for that host, when it keeps strangers out."""
    door = Door(
        {"/plain": served, "/signed": served},
        served,
        make_id=lambda: "req_1",
        body_limit=lambda: 1_000,
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
