"""Jobs, exchanges and shadows as what is scored and judged. Implements ports.subjects.SubjectStore.

Bodies are read back into plain turns by the dialect that they were written in; one that cannot be read leaves a subject without
texts, and a word in the log. What a judge or a shadow was asked is no exchange of a caller's, so it is not found as one; nor is what a
composed exchange asked its members.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog
from sqlalchemy import select, tuple_

from junto.core.chat import ChatRequest, Message, Text, ToolCall, ToolResult
from junto.core.errors import JuntoError, UpstreamFailure
from junto.core.exchange import Outcome
from junto.dialects import openai
from junto.jobs.request import decode_request
from junto.ports.jobs import Status
from junto.ports.shadows import ShadowStatus
from junto.ports.subjects import Said, Subject, SubjectFacts, SubjectKind
from junto.storage.bodies import Packed, unpack
from junto.storage.repositories.jobs_rows import Transactions, unpacked
from junto.storage.sealing import unsealed
from junto.storage.sessions import OPERATOR, Tenant
from junto.storage.tables.evals import SHADOWS
from junto.storage.tables.exchanges import BODIES, EXCHANGES
from junto.storage.tables.jobs import JOBS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, RowMapping, Select

    from junto.dialects.wire import Wire
    from junto.storage.folding import FoldAnswer
    from junto.storage.sealing import Sealer
    from junto.storage.sessions import Scope, Session, Sessions

type _Key = tuple[str | None, str]  # tenant, or any; and id
type _Asked = tuple[SubjectKind, list[_Key]]

_UNREADABLE: Final = (JuntoError, UpstreamFailure, msgspec.MsgspecError, ValueError)
_TEXTS: Final = ("request_codec", "request", "answer_codec", "answer")


class StoredSubjects:
    """Reads them from one database. `wires` are those that exchanges are stored in, by name; `fold_answer` reads their answers."""

    def __init__(self, sessions: Sessions, *, wires: Mapping[str, Wire], fold_answer: FoldAnswer) -> None:
        self._transaction = Transactions(sessions)
        self._texts = _Texts(wires, fold_answer)

    async def find(self, subject: Subject, *, texts: bool = True) -> SubjectFacts | None:
        scope = Tenant(subject.tenant_id)
        found = await self._read(scope, [(subject.kind, [(subject.tenant_id, subject.id)])], texts=texts)
        return found[0] if found else None

    async def find_anywhere(self, kind: SubjectKind, subject_id: str, *, texts: bool = True) -> SubjectFacts | None:
        found = await self._read(OPERATOR, [(kind, [(None, subject_id)])], texts=texts)
        return found[0] if found else None

    async def find_many(self, subjects: Sequence[Subject], *, texts: bool = True) -> Mapping[Subject, SubjectFacts]:
        asked: list[_Asked] = [
            (kind, [(each.tenant_id, each.id) for each in subjects if each.kind is kind]) for kind in SubjectKind
        ]
        found = await self._read(OPERATOR, asked, texts=texts)
        return {facts.subject: facts for facts in found}

    async def _read(self, scope: Scope, asked: Sequence[_Asked], *, texts: bool) -> list[SubjectFacts]:
        rows: list[tuple[SubjectKind, RowMapping]] = []
        async with self._transaction(scope, reading=True) as session:
            sealer = session.sealer
            for kind, keys in asked:
                if keys:
                    found = await session.execute(_SELECTS[kind](session, keys, texts=texts))
                    rows += [(kind, row) for row in found.mappings()]
        if not texts:
            return [_FACTS[kind](row) for kind, row in rows]
        # Megabytes may have to be decompressed and parsed: not on the event loop.
        return await asyncio.to_thread(
            lambda: [self._texts.added(_FACTS[kind](row), kind, row, sealer) for kind, row in rows]
        )


def _jobs(session: Session, keys: list[_Key], *, texts: bool) -> Select[Any]:
    table = JOBS.c
    names = ("tenant_id", "id", "client_id", "task_type", "sensitivity", "status", "model_used", "backend")
    columns = [table[name] for name in (*names, "prompt_version", "created_ms", "started_ms")]
    bodies = [table[name] for name in _TEXTS] if texts else []
    return select(*columns, *bodies).where(session.within(JOBS), _among(table.tenant_id, table.id, keys))


def _exchanges(session: Session, keys: list[_Key], *, texts: bool) -> Select[Any]:
    table = EXCHANGES.c
    names = ("tenant", "id", "client_id", "task_type", "sensitivity", "outcome", "model", "backend", "prompt_version")
    more = ("started_ms", "job_id", "wire", "answer_wire", "answer_stream", "truncated", "request_bytes")
    columns: list[ColumnElement[Any]] = [table[name] for name in (*names, *more)]
    source: Any = EXCHANGES
    if texts:
        columns += [BODIES.c.codec, BODIES.c.content]
        source = EXCHANGES.outerjoin(BODIES, EXCHANGES.c.id == BODIES.c.id)
    return (
        select(*columns)
        .select_from(source)
        .where(session.within(EXCHANGES), table.purpose == "", table.parent_id == "")
        .where(_among(table.tenant, table.id, keys))
    )


def _shadows(session: Session, keys: list[_Key], *, texts: bool) -> Select[Any]:
    table = SHADOWS.c
    names = ("tenant_id", "id", "client_id", "task_type", "sensitivity", "status", "model", "model_used", "backend")
    more = ("source_kind", "source_id", "wire", "prompt_version", "created_ms")
    columns = [table[name] for name in (*names, *more)]
    bodies = [table[name] for name in _TEXTS] if texts else []
    return select(*columns, *bodies).where(session.within(SHADOWS), _among(table.tenant_id, table.id, keys))


def _among(tenant: ColumnElement[str], id_: ColumnElement[str], keys: list[_Key]) -> ColumnElement[bool]:
    """Rows of those keys; a key without a tenant is of any."""
    if any(tenant_id is None for tenant_id, _ in keys):
        return id_.in_([each for _, each in keys])
    return tuple_(tenant, id_).in_(keys)


def _job_facts(row: RowMapping) -> SubjectFacts:
    return SubjectFacts(
        subject=Subject(row["tenant_id"], SubjectKind.JOB, row["id"]),
        task_type=row["task_type"],
        model=row["model_used"],
        backend=row["backend"],
        client_id=row["client_id"],
        sensitivity=row["sensitivity"],
        started_ms=row["started_ms"] or row["created_ms"],
        answered=row["status"] == Status.COMPLETE.value,
        prompt_version=row["prompt_version"],
    )


def _exchange_facts(row: RowMapping) -> SubjectFacts:
    return SubjectFacts(
        subject=Subject(row["tenant"], SubjectKind.EXCHANGE, row["id"]),
        task_type=row["task_type"],
        model=row["model"],
        backend=row["backend"],
        client_id=row["client_id"],
        sensitivity=row["sensitivity"],
        started_ms=row["started_ms"],
        answered=row["outcome"] == Outcome.OK.value,
        prompt_version=row["prompt_version"],
        job_id=row["job_id"],
    )


def _shadow_facts(row: RowMapping) -> SubjectFacts:
    return SubjectFacts(
        subject=Subject(row["tenant_id"], SubjectKind.SHADOW, row["id"]),
        task_type=row["task_type"],
        model=row["model_used"] or row["model"],
        backend=row["backend"],
        client_id=row["client_id"],
        sensitivity=row["sensitivity"],
        started_ms=row["created_ms"],
        answered=row["status"] == ShadowStatus.COMPLETE.value,
        prompt_version=row["prompt_version"],
        source=Subject(row["tenant_id"], SubjectKind(row["source_kind"]), row["source_id"]),
    )


_SELECTS: Final = {
    SubjectKind.JOB: _jobs,
    SubjectKind.EXCHANGE: _exchanges,
    SubjectKind.SHADOW: _shadows,
}
_FACTS: Final = {
    SubjectKind.JOB: _job_facts,
    SubjectKind.EXCHANGE: _exchange_facts,
    SubjectKind.SHADOW: _shadow_facts,
}


class _Texts:
    """Reads bodies back into plain words."""

    def __init__(self, wires: Mapping[str, Wire], fold_answer: FoldAnswer) -> None:
        self._wires = wires
        self._fold_answer = fold_answer

    def added(self, facts: SubjectFacts, kind: SubjectKind, row: RowMapping, sealer: Sealer | None) -> SubjectFacts:
        """The facts with what was said, as far as that is kept and can be read."""
        try:
            if kind is SubjectKind.EXCHANGE:
                request, answer, calls = self._exchange(row, sealer)
            else:
                request, answer, calls = self._job_or_shadow(kind, row, sealer)
        except _UNREADABLE as error:
            structlog.get_logger().warning(
                "subject_unreadable", kind=kind.value, id=facts.subject.id, error=type(error).__name__
            )
            return facts
        if request is None or not (answer or calls):
            return facts
        return msgspec.structs.replace(
            facts,
            has_text=True,
            is_plain=not calls and not request.tools and all(map(_is_plain, request.messages)),
            messages=tuple(Said(message.role.value, _words(message)) for message in request.messages),
            answer="\n".join(filter(None, (answer, *calls))),
        )

    def _exchange(self, row: RowMapping, sealer: Sealer | None) -> _Read:
        if row["content"] is None or row["truncated"]:
            return None, "", []
        packed = unsealed(Packed(row["codec"], row["content"]), sealer, row["tenant"], row["id"])
        request, answer = unpack(packed, row["request_bytes"])
        folded = self._fold_answer(row["answer_wire"], bool(row["answer_stream"]), answer) if answer else None
        if folded is None or "text" not in folded:
            return None, "", []
        calls = [_call(call["name"], call["arguments"]) for call in folded["tool_calls"]]
        return self._chat(row["wire"], request), folded["text"], calls

    def _job_or_shadow(self, kind: SubjectKind, row: RowMapping, sealer: Sealer | None) -> _Read:
        place = (row["tenant_id"], row["id"])
        request, answer = (
            unpacked(Packed(row[f"{name}_codec"], row[name]), sealer, *place, name) if row[name] is not None else b""
            for name in ("request", "answer")
        )
        if not request or not answer:
            return None, "", []
        stored = msgspec.json.decode(answer, type=_StoredAnswer)
        calls = [_call(call.function.name, call.function.arguments) for call in stored.tool_calls]
        if kind is SubjectKind.SHADOW:
            return self._chat(row["wire"], request), stored.response, calls
        asked = decode_request(request)
        return self._chat(openai.CHAT.name, asked.body(asked.model)), stored.response, calls

    def _chat(self, wire: str, body: bytes) -> ChatRequest | None:
        known = self._wires.get(wire)
        request = None if known is None else known.parse_request(body)
        return request if isinstance(request, ChatRequest) else None


type _Read = tuple[ChatRequest | None, str, list[str]]


class _Function(msgspec.Struct, frozen=True):
    name: str
    arguments: str = ""


class _Call(msgspec.Struct, frozen=True):
    function: _Function


class _StoredAnswer(msgspec.Struct, frozen=True):
    """An answer as jobs and shadows keep it."""

    response: str
    tool_calls: tuple[_Call, ...] = ()


def _call(name: str, arguments: str) -> str:
    return f"[calls {name}({arguments})]"


def _is_plain(message: Message) -> bool:
    return all(isinstance(part, Text) for part in message.parts)


def _words(message: Message) -> str:
    """A turn for people and judges: its words, and what it calls and was told."""
    words = []
    for part in message.parts:
        if isinstance(part, Text):
            words.append(part.text)
        elif isinstance(part, ToolCall):
            words.append(_call(part.name, part.arguments))
        elif isinstance(part, ToolResult):
            words += [each.text for each in part.content if isinstance(each, Text)]
    return "\n".join(words) if len(words) > 1 and not _is_plain(message) else "".join(words)
