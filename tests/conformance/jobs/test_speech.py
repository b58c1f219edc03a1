"""Speech jobs and the rows of their files, on every database: room of their own, and files written down under the fence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from sqlalchemy import update

from junto.ports.jobs import Kind, Room
from junto.ports.outputs import Output
from junto.storage.repositories.outputs import StoredOutputs
from junto.storage.sessions import OPERATOR
from junto.storage.tables import JOBS, LEDGER, OUTPUTS
from tests.conformance.jobs.desk import ANSWERED

if TYPE_CHECKING:
    from junto.ports.jobs import Claim, Job

    from .desk import Desk

pytestmark = pytest.mark.anyio

ROOM = Room(10, 10, speech=2)
SPOKEN: dict[str, Any] = {"kind": Kind.SPEECH, "local": False, "task_type": "tts", "model": "hibari"}


def an_output(claim: Claim, number: int = 0, **fields: Any) -> Output:
    job = claim.job
    plain = Output(
        tenant_id=job.tenant_id,
        id=f"{job.id}-{number:03d}.mp3" if number else f"{job.id}.mp3",
        job_id=job.id,
        client_id=job.client_id,
        number=number,
        fence=job.fence,
        voice="v",
        content_type="audio/mpeg",
        characters=10,
        bytes=100,
        audio_ms=1000,
    )
    return msgspec.structs.replace(plain, **fields)


async def spoken(desk: Desk, **fields: Any) -> Claim:
    job = await desk.submit(**SPOKEN, **fields)
    claim = await desk.claim(room=ROOM)
    assert claim is not None
    assert claim.job.id == job.id
    return claim


async def test_a_worker_without_room_for_speech_claims_chats_only(desk: Desk) -> None:
    speech, chat = await desk.submit(**SPOKEN), await desk.submit()
    assert await desk.work.claim("w", Room(0, 10), lease_ms=30_000, limit=10) == ()
    claims = await desk.work.claim("w", Room(10, 10), lease_ms=30_000, limit=10)
    assert [claim.job.id for claim in claims] == [chat.id]
    assert await desk.work.claim("w", Room(10, 0), lease_ms=30_000, limit=10) == ()
    assert [claim.job.id for claim in await desk.work.claim("w", ROOM, lease_ms=30_000)] == [speech.id]


async def test_of_speech_no_more_is_claimed_than_there_is_room_for_and_chats_behind_it_are(desk: Desk) -> None:
    speech = [await desk.submit(**SPOKEN) for _ in range(5)]
    chats = [await desk.submit() for _ in range(2)]
    first = await desk.work.claim("w", ROOM, lease_ms=30_000, limit=10)
    assert [claim.job.kind for claim in first].count(Kind.SPEECH) == 2
    second = await desk.work.claim("w", Room(10, 10), lease_ms=30_000, limit=10)
    chosen = {claim.job.id for claim in (*first, *second)}
    assert chosen == {job.id for job in chats} | {job.id for job in speech[:2]}


async def test_without_room_for_local_hardware_speech_is_claimed_all_the_same(desk: Desk) -> None:
    await desk.submit()
    speech = await desk.submit(**SPOKEN)
    claim = await desk.claim(room=Room(0, 10, speech=1))
    assert claim is not None
    assert claim.job.id == speech.id
    assert claim.job.kind is Kind.SPEECH


async def test_a_file_is_written_down_with_the_step_that_it_is(desk: Desk) -> None:
    outputs, claim = StoredOutputs(desk.sessions), await spoken(desk, steps=3)
    assert await outputs.add(claim, an_output(claim, 2))
    assert await outputs.add(claim, an_output(claim, 1))
    assert await outputs.add(claim, an_output(claim, 1))  # nobody knew whether the first time had gone well
    job = await desk.job(claim.job)
    assert (job.steps, job.steps_done, job.kind) == (3, 2, Kind.SPEECH)
    found = await outputs.of_job("default", job.id)
    assert [one.number for one in found] == [1, 2]
    assert all(one.created_ms > 0 for one in found)


async def test_a_stale_fence_writes_no_file_down(desk: Desk) -> None:
    outputs, claim = StoredOutputs(desk.sessions), await spoken(desk, steps=1)
    stale = msgspec.structs.replace(claim, job=msgspec.structs.replace(claim.job, fence=claim.job.fence - 1))
    assert not await outputs.add(stale, an_output(claim))
    assert await desk.rows(OUTPUTS) == []
    await desk.work.finish(claim, ANSWERED)
    assert not await outputs.add(claim, an_output(claim))


async def test_a_file_is_found_by_its_whole_name_and_within_its_tenant_only(desk: Desk) -> None:
    outputs, claim = StoredOutputs(desk.sessions), await spoken(desk)
    await outputs.add(claim, an_output(claim))
    name = f"{claim.job.id}.mp3"
    for tenant in ("default", None):
        found = await outputs.find(name, tenant)
        assert found is not None
        assert found.file == (claim.job.id, f"0000.{claim.job.fence}.mp3")
    assert await outputs.find(name, "other") is None
    for wrong in (
        name.upper(),
        name[:-1],
        f"../{name}",
        f"{name}\n",
        "%",
        "_" * len(name),
        "",
        f"{claim.job.id}-001.mp3",
    ):
        assert await outputs.find(wrong, None) is None
    assert await outputs.known([claim.job.id, "job_of_nobody"]) == {(claim.job.id, f"0000.{claim.job.fence}.mp3")}


async def test_old_rows_go_and_those_of_deleted_jobs_with_their_jobs(desk: Desk) -> None:
    outputs = StoredOutputs(desk.sessions)
    kept, old = await spoken(desk), await spoken(desk)
    for claim in (kept, old):
        await outputs.add(claim, an_output(claim))
    await outdated(desk, old.job)
    assert await outputs.delete_old(older_ms=1000) == 1
    assert [row["job_id"] for row in await desk.rows(OUTPUTS)] == [kept.job.id]
    await desk.work.finish(kept, ANSWERED)
    await desk.change(kept.job, finished_ms=1)
    assert await desk.sweep.delete_ended(older_ms=1000) == 1
    assert await desk.rows(OUTPUTS) == []
    assert [row["id"] for row in await desk.rows(JOBS)] == [old.job.id]


async def outdated(desk: Desk, job: Job) -> None:
    async with desk.sessions.write(OPERATOR) as session:
        await session.execute(update(OUTPUTS).where(OUTPUTS.c.job_id == job.id).values(created_ms=1))


async def test_bytes_of_audio_are_no_tokens_in_the_ledger(desk: Desk) -> None:
    claim = await spoken(desk)
    await desk.work.finish(claim, ANSWERED)
    (entry,) = await desk.rows(LEDGER)
    assert (entry["input_tokens"], entry["output_tokens"]) == (7, 0)
    job = await desk.job(claim.job)
    assert (job.tokens_in, job.tokens_out) == (7, 2)
