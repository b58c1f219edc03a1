"""Rows of scores and verdicts as values and back; notes are compressed and sealed as other bodies are. Decides nothing.

A note lies at a place that is made of its row's own key, not of its id: who scores again writes the same row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy.dialects import postgresql, sqlite

from junto.ports.scores import SavedScore, SavedVerdict, Score, Verdict, Via, Winner
from junto.ports.subjects import Subject, SubjectKind
from junto.storage.bodies import Packed
from junto.storage.repositories.jobs_rows import pack, sealed, unpacked
from junto.storage.tables.evals import SCORES, VERDICTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import RowMapping, Table

    from junto.ports.scores import NewScore, NewVerdict
    from junto.storage.sealing import Sealer
    from junto.storage.sessions import Session

SCORE_KEY: Final = ("tenant_id", "subject_kind", "subject_id", "via", "author")
VERDICT_KEY: Final = ("tenant_id", "first_id", "second_id", "via", "author")
_SCORE: Final = ("id", "task_type", "model", "client_id", "sensitivity", "score", "author", "subject_ms", "created_ms")
_VERDICT: Final = (
    "id",
    "task_type",
    "sensitivity",
    "first_model",
    "second_model",
    "author",
    "subject_ms",
    "created_ms",
)


async def write_score(session: Session, score: NewScore) -> SavedScore:
    """Write a score down, in the place of the same author's."""
    row: dict[str, Any] = {
        "tenant_id": score.subject.tenant_id,
        "id": score.id,
        "subject_kind": score.subject.kind.value,
        "subject_id": score.subject.id,
        "task_type": score.task_type,
        "model": score.model,
        "client_id": score.client_id,
        "sensitivity": score.sensitivity,
        "score": score.score,
        "dimensions": msgspec.json.encode(dict(score.dimensions), order="sorted").decode(),
        "via": score.via.value,
        "author": score.author,
        "subject_ms": score.subject_ms,
        "created_ms": session.now_ms,
        "updated_ms": session.now_ms,
    }
    row |= await _note(session, score.note, *(row[name] for name in SCORE_KEY))
    written = await _upsert(session, SCORES, row, SCORE_KEY)
    return SavedScore(score_of(written, session.sealer), written["id"] != score.id)


async def write_verdict(session: Session, verdict: NewVerdict) -> SavedVerdict:
    """Write a verdict down, in the place of the same author's. A pair is kept in the order of its ids."""
    verdict = in_order(verdict)
    row: dict[str, Any] = {
        "tenant_id": verdict.first.tenant_id,
        "id": verdict.id,
        "task_type": verdict.task_type,
        "sensitivity": verdict.sensitivity,
        "first_kind": verdict.first.kind.value,
        "first_id": verdict.first.id,
        "first_model": verdict.first_model,
        "second_kind": verdict.second.kind.value,
        "second_id": verdict.second.id,
        "second_model": verdict.second_model,
        "winner": verdict.winner.value,
        "via": verdict.via.value,
        "author": verdict.author,
        "subject_ms": verdict.subject_ms,
        "created_ms": session.now_ms,
    }
    row |= await _note(session, verdict.note, *(row[name] for name in VERDICT_KEY))
    written = await _upsert(session, VERDICTS, row, VERDICT_KEY)
    return SavedVerdict(verdict_of(written, session.sealer), written["id"] != verdict.id)


def in_order(verdict: NewVerdict) -> NewVerdict:
    """The same verdict with its pair in the order in which pairs are kept."""
    if verdict.first.id <= verdict.second.id:
        return verdict
    return msgspec.structs.replace(
        verdict,
        first=verdict.second,
        second=verdict.first,
        first_model=verdict.second_model,
        second_model=verdict.first_model,
        winner=verdict.winner.swapped,
    )


def score_of(row: RowMapping, sealer: Sealer | None) -> Score:
    """The score of a row."""
    return Score(
        subject=Subject(row["tenant_id"], SubjectKind(row["subject_kind"]), row["subject_id"]),
        dimensions=msgspec.json.decode(row["dimensions"]),
        via=Via(row["via"]),
        note=_readable(row, SCORE_KEY, sealer),
        updated_ms=row["updated_ms"],
        **{name: row[name] for name in _SCORE},
    )


def verdict_of(row: RowMapping, sealer: Sealer | None) -> Verdict:
    """The verdict of a row."""
    first, second = (
        Subject(row["tenant_id"], SubjectKind(row[f"{side}_kind"]), row[f"{side}_id"]) for side in ("first", "second")
    )
    return Verdict(
        first=first,
        second=second,
        winner=Winner(row["winner"]),
        via=Via(row["via"]),
        note=_readable(row, VERDICT_KEY, sealer),
        **{name: row[name] for name in _VERDICT},
    )


async def _note(session: Session, note: str, *place: str) -> dict[str, Any]:
    if not note:
        return {"note_codec": "", "note": None}
    packed = sealed(session, await pack(note.encode()), *place, "note")
    return {"note_codec": packed.codec, "note": packed.content}


def _readable(row: RowMapping, key: Sequence[str], sealer: Sealer | None) -> str:
    if row["note"] is None:
        return ""
    place = [row[name] for name in key]
    return unpacked(Packed(row["note_codec"], row["note"]), sealer, *place, "note").decode(errors="replace")


async def _upsert(session: Session, table: Table, row: Mapping[str, Any], key: Sequence[str]) -> RowMapping:
    """The row as it stands after; its id and the time of its making stay those of the first one."""
    insert = sqlite.insert if session.connection.dialect.name == "sqlite" else postgresql.insert
    changed = {name: value for name, value in row.items() if name not in {*key, "id", "created_ms"}}
    asked = (
        insert(table)
        .values(**row)
        .on_conflict_do_update(index_elements=[table.c[name] for name in key], set_=changed)
        .returning(*table.columns)
    )
    return (await session.execute(asked)).mappings().one()
