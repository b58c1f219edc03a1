"""What is stored of jobs is encrypted where there is a secret, and one that cannot be read stops no other."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from junto.core.secret import Secret
from junto.ports.jobs import JobQuery, Status
from junto.storage.repositories.outbox import StoredWebhooks
from junto.storage.sealing import Sealer
from junto.storage.tables.jobs import OUTBOX

from .desk import ANSWERED, LEASE, PLENTY, Desk

if TYPE_CHECKING:
    from junto.storage.engine import Database

pytestmark = pytest.mark.anyio


def sealer(secret: str = "a secret of the tests") -> Sealer:
    return Sealer(Secret(secret), entropy=secrets.token_bytes)


async def test_requests_and_answers_lie_encrypted_and_are_read_as_they_were(desk: Desk, database: Database) -> None:
    sealed = Desk(database, sealer())
    claim = await sealed.claimed()
    assert claim.job.request == b'{"prompt":"Who?"}'
    await sealed.work.finish(claim, ANSWERED)
    assert (await sealed.job(claim.job)).answer == ANSWERED.answer
    [row] = await desk.rows_of_jobs()
    assert b"Who" not in row["request"]
    assert b"Yes" not in row["answer"]
    assert "+aesgcm:" in row["request_codec"]


async def test_metadata_and_webhook_lie_encrypted_wherever_the_job_goes(desk: Desk, database: Database) -> None:
    sealed = Desk(database, sealer())
    texts = {"metadata": '{"case":"A-canary"}', "webhook": "https://example.com/hook?token=canary"}
    claim = await sealed.claimed(**texts)
    await sealed.work.finish(claim, ANSWERED)
    late = await sealed.submit(**texts)
    cancelled = await sealed.jobs.cancel("default", late.id, force=False, webhook_id="evt_2")
    listed = await sealed.jobs.page(JobQuery(tenant_id="default", client_id=None))
    assert cancelled is not None
    for job in (claim.job, late, cancelled, await sealed.job(late), *listed):
        assert {"metadata": job.metadata, "webhook": job.webhook} == texts
    for rows in (await desk.rows_of_jobs(), await desk.rows(OUTBOX)):
        assert len(rows) == 2
        assert "canary" not in str(rows)
    hooks = StoredWebhooks(sealed.sessions)
    assert {notice.url for notice in await hooks.claim(limit=5, hold_ms=0)} == {texts["webhook"]}
    assert [each.url for each in await hooks.deliveries("default", late.id)] == [texts["webhook"]]
    assert [each.url for each in await StoredWebhooks(desk.sessions).deliveries("default", late.id)] == [""]


async def test_a_swept_job_tells_its_webhook_where_it_was_to(desk: Desk, database: Database) -> None:
    sealed = Desk(database, sealer())
    job = await sealed.submit(webhook="https://example.com/hook", deadline_ms=1_000)
    await sealed.change(job, deadline_ms=1)
    [lapsed] = await sealed.sweep.expire_deadlines(make_id=sealed.make_id)
    assert lapsed.job.webhook == "https://example.com/hook"
    [notice] = await StoredWebhooks(sealed.sessions).claim(limit=5, hold_ms=0)
    assert notice.url == "https://example.com/hook"


async def test_what_was_stored_before_there_was_a_secret_is_still_read(desk: Desk, database: Database) -> None:
    job = await desk.submit()
    claim = await Desk(database, sealer()).claim()
    assert claim is not None
    assert (claim.job.id, claim.job.request) == (job.id, b'{"prompt":"Who?"}')


@pytest.mark.parametrize("other", ["another secret", None])
async def test_a_job_of_another_secret_stays_for_those_who_have_it_and_stops_no_other(
    desk: Desk, database: Database, other: str | None
) -> None:
    owner, now = Desk(database, sealer()), desk if other is None else Desk(database, sealer(other))
    shut = await owner.submit(priority=9)
    readable = await now.submit(id="job_readable")
    claims = [await now.claim(), await now.claim()]
    assert [claim.job.id for claim in claims if claim is not None] == [readable.id]
    waits = await owner.job(shut)
    assert (waits.status, waits.fence, waits.attempts) == (Status.PENDING, 0, 0)
    assert waits.due_ms > shut.due_ms + 20_000
    await desk.change(shut, due_ms=1)
    claim = await owner.claim()
    assert claim is not None
    assert (claim.job.id, claim.job.request) == (shut.id, b'{"prompt":"Who?"}')


async def test_many_jobs_of_another_secret_do_not_keep_a_worker_from_its_own(desk: Desk, database: Database) -> None:
    owner = Desk(database, sealer())
    for _ in range(12):
        await owner.submit()
    own = await desk.submit(id="job_own")
    claims = await desk.work.claim("w", PLENTY, lease_ms=LEASE, limit=4)
    claims = [*claims, *await desk.work.claim("w", PLENTY, lease_ms=LEASE, limit=4)]
    assert [claim.job.id for claim in claims] == [own.id]


async def test_a_job_whose_body_is_damaged_is_claimed_without_its_words(database: Database, desk: Desk) -> None:
    sealed = Desk(database, sealer())
    damaged = await sealed.submit()
    await desk.change(damaged, request=b"damaged")
    claim = await sealed.claim()
    assert claim is not None
    assert (claim.job.id, claim.job.request) == (damaged.id, b"")
