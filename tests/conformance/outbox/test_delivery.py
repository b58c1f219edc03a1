"""From the outbox to a receiver: two nodes on one database, over real sockets, signed and once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from junto.bootstrap.clock import SystemClock
from junto.bootstrap.webhooks import Outbound, outbound
from junto.core.errors import InvalidField
from junto.core.secret import Secret
from junto.jobs.signing import EVENT_ID, SIGNATURE, TIMESTAMP, verify
from junto.storage.repositories.outbox import add_webhook
from junto.storage.sessions import OPERATOR, Sessions
from tests.conformance.outbox.test_outbox import filled
from tests.contract.outbound.receiver import receiving

if TYPE_CHECKING:
    from junto.storage.engine import Database

pytestmark = pytest.mark.anyio
SECRET = Secret("the server's")


class Jobs:
    """Every job is done."""

    async def find_public(self, tenant_id: str, job_id: str) -> Mapping[str, Any] | None:
        return {"job_id": job_id, "status": "complete", "response": "for its owner only"}


async def to_loopback(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


def node(sessions: Sessions, *allow: str) -> Outbound:
    return outbound(
        sessions=sessions,
        jobs=Jobs(),
        clock=SystemClock(),
        server_secret=SECRET,
        allow=lambda: allow,
        resolve=to_loopback,
        jitter=lambda: 0.0,
    )


async def pointed_at(sessions: Sessions, url: str, count: int) -> None:
    """That many webhooks more, to that URL."""
    async with sessions.write(OPERATOR) as session:
        for number in range(count):
            await add_webhook(session, tenant_id="t0", id=f"evt_to_{number:02}", job_id="job_0", url=url)


async def test_two_nodes_deliver_each_webhook_once_and_signed(database: Database) -> None:
    sessions = Sessions(database)
    await (await filled(sessions)).claim(limit=1, hold_ms=3_600_000)  # out of the way
    async with receiving() as receiver:
        await pointed_at(sessions, f"http://hook.test:{receiver.port}/in", 30)
        nodes = [node(sessions, "127.0.0.1"), node(sessions, "127.0.0.1")]
        for each in nodes:
            each.webhooks.start()
        async with asyncio.timeout(20):
            while len(receiver.requests) < 30:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            while any(one.state == "pending" for one in (await nodes[0].store.deliveries("t0", "job_0"))[1:]):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        for each in nodes:
            await each.webhooks.stop()
    told = [dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:-2]) for head, _ in receiver.requests]
    assert sorted(headers[EVENT_ID] for headers in told) == [f"evt_to_{number:02}" for number in range(30)]
    key = nodes[0].key_of("t0", "client of t0")
    for headers, (_, body) in zip(told, receiver.requests, strict=True):
        assert verify(key, headers, body, now=int(headers[TIMESTAMP]))
        assert headers[SIGNATURE].startswith("v1=")
        assert json.loads(body) == {"job_id": "job_0", "status": "complete", "poll_url": "/jobs/job_0"}


async def test_an_address_that_is_not_allowed_any_more_is_not_called(database: Database) -> None:
    """Allowed at submit is not allowed for ever: the operator may have changed the list, or somebody the name."""
    sessions = Sessions(database)
    await filled(sessions)
    async with receiving() as receiver:
        await pointed_at(sessions, f"http://hook.test:{receiver.port}/in", 1)
        strict = node(sessions)
        with pytest.raises(InvalidField):
            await strict.guard.check(f"http://hook.test:{receiver.port}/in")
        await strict.webhooks.deliver_due()
        await strict.webhooks.stop()
    assert receiver.connections == 0
    *_, seen = await strict.store.deliveries("t0", "job_0")
    assert (seen.state, seen.attempts) == ("given_up", 1)  # the job of these tests ended long ago
    assert "loopback" in (seen.last_error or "")
