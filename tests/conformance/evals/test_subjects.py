"""Jobs, exchanges and shadows are read the same way, in plain words, within their tenant."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from sqlalchemy import insert, update

from junto.core.exchange import ExchangeRecord, Outcome
from junto.core.secret import Secret
from junto.jobs.request import JobCaller, JobRequest
from junto.ports.subjects import Kind, Said, Subject, SubjectFacts, SubjectKind
from junto.storage.folding import answer_folder
from junto.storage.repositories.jobs_rows import pack, sealed
from junto.storage.repositories.subjects import StoredSubjects
from junto.storage.sealing import Sealer
from junto.storage.sessions import OPERATOR
from junto.storage.tables.evals import SHADOWS
from junto.storage.tables.jobs import JOBS
from junto.storage.writer import ExchangeWriter
from junto.web.wires import INFERENCE
from tests.conformance.jobs.desk import ANSWERED, Desk, filled

if TYPE_CHECKING:
    from junto.ports.jobs import Job
    from junto.storage.engine import Database
    from junto.storage.sessions import Sessions

pytestmark = pytest.mark.anyio

TURNS = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who?"}]
SAID = (Said("system", "Be brief."), Said("user", "Who?"))
CALL = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": '{"q":"who"}'}}
WIRES = {wire.name: wire for wire in INFERENCE.values()}


class Ground:
    """One database with a reader of subjects, and the means to put some there."""

    def __init__(self, database: Database, sealer: Sealer | None = None) -> None:
        self.desk = Desk(database, sealer)
        self.sessions: Sessions = self.desk.sessions
        self.writer = ExchangeWriter(self.sessions, sealer=sealer)
        self.subjects = StoredSubjects(self.sessions, wires=WIRES, fold_answer=answer_folder(WIRES))

    async def job(self, **fields: Any) -> Job:
        chat = JobRequest(caller=JobCaller(client="a"), model="m", messages=tuple(TURNS))
        claim = await self.desk.claimed(request=chat.encode(), **fields)
        await self.desk.work.finish(claim, ANSWERED)
        return claim.job

    async def exchange(self, id: str = "req_1", **changes: Any) -> None:
        plain = ExchangeRecord(
            id=id,
            started_ms=1000,
            client_id="cli_a",
            wire="openai.chat",
            operation="chat",
            requested_model="fast",
            model="m",
            backend="desk",
            sensitivity="internal",
            task_type="bio",
            keep="full",
            request_body=msgspec.json.encode({"model": "fast", "messages": TURNS}),
            answer_wire="openai.chat",
            answer_body=msgspec.json.encode(
                {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Me."}, "finish_reason": "stop"}]}
            ),
        )
        await self.writer.store([msgspec.structs.replace(plain, **changes)])

    async def shadow(self, id: str = "shd_1", *, answer: Any = None, **fields: Any) -> None:
        bodies = {
            "request": msgspec.json.encode({"model": "candidate", "messages": TURNS}),
            "answer": msgspec.json.encode(answer or {"response": "You."}),
        }
        tenant = fields.get("tenant_id", "default")
        async with self.sessions.write(OPERATOR) as session:
            packed = {name: sealed(session, await pack(body), tenant, id, name) for name, body in bodies.items()}
            row = {
                "tenant_id": "default",
                "source_kind": "exchange",
                "source_id": "req_1",
                "status": "complete",
                "wire": "openai.chat",
                "model": "candidate",
                **{f"{name}_codec": each.codec for name, each in packed.items()},
                **{name: each.content for name, each in packed.items()},
            }
            await session.execute(insert(SHADOWS).values(filled(SHADOWS, id=id, **{**row, **fields})))

    async def found(self, kind: SubjectKind, id: str, tenant: str = "default") -> SubjectFacts:
        facts = await self.subjects.find(Subject(tenant, kind, id))
        assert facts is not None
        return facts


async def set_ground(database: Database, sealer: Sealer | None = None) -> Ground:
    ground = Ground(database, sealer)
    await ground.desk.set_up()
    return ground


@pytest.fixture
async def ground(database: Database) -> Ground:
    return await set_ground(database)


@pytest.fixture(params=["open", "sealed"])
async def kept_ground(request: pytest.FixtureRequest, database: Database) -> Ground:
    """With texts as they are, and encrypted."""
    return await set_ground(
        database, Sealer(Secret("k" * 40), entropy=os.urandom) if request.param == "sealed" else None
    )


async def test_a_job_is_read_with_what_was_asked_and_answered(kept_ground: Ground) -> None:
    job = await kept_ground.job()
    facts = await kept_ground.found(SubjectKind.JOB, job.id)
    assert (facts.messages, facts.answer, facts.has_text, facts.is_plain) == (SAID, "Yes.", True, True)
    assert (facts.model, facts.task_type, facts.client_id, facts.answered) == ("m", "bio", "cli_a", True)
    assert facts.kind is Kind.PRODUCTION
    assert facts.started_ms > 0


async def test_a_job_under_way_has_no_answer_yet(ground: Ground) -> None:
    claim = await ground.desk.claimed()
    facts = await ground.found(SubjectKind.JOB, claim.job.id)
    assert (facts.answered, facts.has_text) == (False, False)


async def test_an_exchange_is_read_in_whatever_wire_it_was_spoken(kept_ground: Ground) -> None:
    await kept_ground.exchange()
    await kept_ground.exchange(
        "req_2",
        wire="anthropic.messages",
        answer_wire="anthropic.messages",
        answer_stream=True,
        request_body=msgspec.json.encode(
            {
                "model": "fast",
                "max_tokens": 5,
                "system": "Be brief.",
                "messages": [{"role": "user", "content": [{"type": "text", "text": "Who?"}]}],
            }
        ),
        answer_body=_ANTHROPIC_STREAM,
    )
    for id in ("req_1", "req_2"):
        facts = await kept_ground.found(SubjectKind.EXCHANGE, id)
        assert (facts.messages, facts.answer, facts.is_plain) == (SAID, "Me.", True), id
        assert (facts.started_ms, facts.model, facts.answered) == (1000, "m", True)


async def test_a_shadow_is_read_with_what_it_is_a_shadow_of(kept_ground: Ground) -> None:
    await kept_ground.shadow(model_used="candidate-q4")
    facts = await kept_ground.found(SubjectKind.SHADOW, "shd_1")
    assert (facts.messages, facts.answer, facts.model) == (SAID, "You.", "candidate-q4")
    assert facts.source == Subject("default", SubjectKind.EXCHANGE, "req_1")
    assert facts.kind is Kind.SHADOW


async def test_what_is_more_than_words_is_told_and_said_so(ground: Ground) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    turns = [{"role": "user", "content": [{"type": "text", "text": "Who?"}, picture]}]
    await ground.exchange(request_body=msgspec.json.encode({"model": "fast", "messages": turns}))
    await ground.shadow(answer={"response": "", "tool_calls": [CALL]})
    exchange = await ground.found(SubjectKind.EXCHANGE, "req_1")
    shadow = await ground.found(SubjectKind.SHADOW, "shd_1")
    assert (exchange.prompt, exchange.is_plain) == ("Who?", False)
    assert (shadow.answer, shadow.is_plain, shadow.has_text) == ('[calls look_up({"q":"who"})]', False, True)


@pytest.mark.parametrize(
    "changes",
    [
        {"keep": "metadata"},
        {"truncated": True},
        {"request_body": b"{broken"},
        {"answer_body": b"{broken"},
        {"wire": "no.such", "answer_wire": "no.such"},
        {"answer_body": b""},
        {"request_body": b'{"model":"fast","messages":5}'},
    ],
    ids=str,
)
async def test_texts_that_are_not_kept_or_cannot_be_read_leave_the_rest(
    ground: Ground, changes: dict[str, Any]
) -> None:
    await ground.exchange(**changes)
    facts = await ground.found(SubjectKind.EXCHANGE, "req_1")
    assert (facts.has_text, facts.messages, facts.answer) == (False, (), "")
    assert facts.answered


async def test_a_job_that_asks_something_else_than_a_chat_is_found_without_texts(ground: Ground) -> None:
    job = await ground.job()
    async with ground.sessions.write(OPERATOR) as session:
        packed = sealed(session, await pack(b'{"text":"Read this."}'), "default", job.id, "request")
        await session.execute(update(JOBS).values(request=packed.content, request_codec=packed.codec))
    assert not (await ground.found(SubjectKind.JOB, job.id)).has_text


async def test_what_was_sealed_under_another_secret_is_found_without_texts(database: Database) -> None:
    before, after = (Ground(database, Sealer(Secret(one * 40), entropy=os.urandom)) for one in "ab")
    await before.desk.set_up()
    job = await before.job()
    await before.exchange()
    await before.shadow()
    for kind, id in ((SubjectKind.JOB, job.id), (SubjectKind.EXCHANGE, "req_1"), (SubjectKind.SHADOW, "shd_1")):
        assert not (await after.found(kind, id)).has_text
        assert (await before.found(kind, id)).has_text


async def test_anothers_is_missing_but_for_the_operator(ground: Ground) -> None:
    await ground.exchange(tenant="other")
    await ground.shadow(tenant_id="other")
    job = await ground.job(client="cli_o", tenant="other")
    for kind, id in ((SubjectKind.EXCHANGE, "req_1"), (SubjectKind.SHADOW, "shd_1"), (SubjectKind.JOB, job.id)):
        assert await ground.subjects.find(Subject("default", kind, id)) is None
        found = await ground.subjects.find_anywhere(kind, id, texts=False)
        assert found is not None
        assert found.subject == Subject("other", kind, id)
        assert not found.has_text
        assert await ground.subjects.find_anywhere(kind, "req_9") is None


async def test_what_the_operator_asked_and_what_was_asked_of_members_is_no_exchange_of_a_callers(
    ground: Ground,
) -> None:
    await ground.exchange("req_1", purpose="shadow", parent_id="req_0")
    await ground.exchange("req_2", purpose="judge")
    await ground.exchange("req_0.1", parent_id="req_0")
    for id in ("req_1", "req_2", "req_0.1"):
        assert await ground.subjects.find(Subject("default", SubjectKind.EXCHANGE, id)) is None


async def test_an_exchange_that_failed_has_no_answer_and_one_of_a_job_says_of_which(ground: Ground) -> None:
    await ground.exchange("req_1", outcome=Outcome.ERROR)
    await ground.exchange("req_2", job_id="job_7")
    assert not (await ground.found(SubjectKind.EXCHANGE, "req_1")).answered
    assert (await ground.found(SubjectKind.EXCHANGE, "req_2")).job_id == "job_7"


async def test_many_are_found_at_once_and_those_that_are_not_there_left_out(kept_ground: Ground) -> None:
    job = await kept_ground.job()
    await kept_ground.exchange()
    await kept_ground.shadow()
    asked = [
        Subject("default", SubjectKind.JOB, job.id),
        Subject("default", SubjectKind.EXCHANGE, "req_1"),
        Subject("default", SubjectKind.SHADOW, "shd_1"),
    ]
    missing = [Subject("other", each.kind, each.id) for each in asked]
    found = await kept_ground.subjects.find_many([*asked, *missing])
    assert set(found) == set(asked)
    assert {facts.answer for facts in found.values()} == {"Yes.", "Me.", "You."}
    assert await kept_ground.subjects.find_many([]) == {}


_EVENTS: tuple[dict[str, Any], ...] = (
    {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 3, "output_tokens": 1},
        },
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Me."}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 2},
    },
    {"type": "message_stop"},
)
_ANTHROPIC_STREAM = b"".join(
    b"event: %b\ndata: %b\n\n" % (event["type"].encode(), msgspec.json.encode(event)) for event in _EVENTS
)
