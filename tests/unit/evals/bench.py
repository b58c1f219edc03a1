"""Judges that say what a script tells them, in place of the gateway; and cases for them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from junto.core.errors import JuntoError
from junto.core.exchange import ExchangeRecord
from junto.core.usage import Usage
from junto.evals.judging import Judging
from junto.evals.jurors import Bench
from junto.evals.jury import Asked, Case
from junto.ports.judging import Mode
from junto.ports.replays import ChatReplay, Prospect, Replay, Replayed
from junto.ports.subjects import Said, Subject, SubjectFacts, SubjectKind
from tests.unit.catalog.specs import cloud, group, snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from junto.core.chat import ChatRequest
    from junto.ports.replays import OnRecord

type Line = str | JuntoError | Callable[[ChatRequest], str]
CUT = "[cut]"  # at the end of a line: the answer was cut off there
MODELS = ("alpha-7b", "beta-7b", "gamma-7b", "acme-7b")


@dataclass(slots=True)
class ScriptedReplays:
    """Implements ports.replays.Replays. `lines` by the model's name, in turn, the last one again and again; `barred` refuses ahead."""

    lines: dict[str, list[Line]] = field(default_factory=dict)
    barred: Mapping[str, JuntoError] = field(default_factory=dict)
    asked: list[ChatReplay] = field(default_factory=list)
    hangs: bool = False
    is_asked: asyncio.Event = field(default_factory=asyncio.Event)

    def body_for(self, wire: str, body: bytes, model: str) -> bytes:
        raise NotImplementedError

    def prospect(self, replay: Replay) -> Prospect:
        return Prospect(refusal=self.barred.get(msgspec.json.decode(replay.body)["model"]))

    async def run(self, replay: Replay, *, on_record: OnRecord | None = None) -> Replayed:
        raise NotImplementedError

    def replay_of(self, chat: ChatReplay) -> Replay:
        return Replay(
            id="req_1",
            purpose=chat.purpose,
            wire="openai-chat",
            body=msgspec.json.encode({"model": chat.request.model}),
            tenant_id=chat.tenant_id,
            sensitivity=chat.sensitivity,
        )

    async def chat(self, chat: ChatReplay, *, on_record: OnRecord | None = None) -> Replayed:
        await asyncio.sleep(0)
        self.asked.append(chat)
        if self.hangs:
            self.is_asked.set()
            await asyncio.Event().wait()
        model = chat.request.model
        left = self.lines[model]
        line = left.pop(0) if len(left) > 1 else left[0]
        record = ExchangeRecord(
            id="req_1",
            started_ms=1,
            wire="openai-chat",
            operation="chat",
            requested_model=model,
            sensitivity=chat.sensitivity,
            input_tokens=20,
            output_tokens=5,
            cost_nano=7,
        )
        if on_record is not None:
            on_record(record)
        if isinstance(line, JuntoError):
            raise line
        if not isinstance(line, str):
            line = line(chat.request)
        return Replayed(
            text=line.removesuffix(CUT),
            finish_reason="length" if line.endswith(CUT) else "stop",
            model=model,
            backend="up",
            usage=Usage(input=20, output=5),
            nano=7,
            latency_ms=10,
            record=record,
        )


def judging(replays: ScriptedReplays) -> Judging:
    """Judges on a catalog with a few models, each of its own family, a group of two, and a pinned name."""
    catalog = snapshot(cloud("up", *MODELS), groups={"both": group("alpha-7b", "beta-7b")})
    return Judging(replays, Bench(lambda: catalog))


def facts(id: str = "req_1", *, model: str = "acme-70b", answer: str = "4", **more: Any) -> SubjectFacts:
    """What is known of an answer."""
    given: Mapping[str, Any] = {
        "subject": Subject("default", SubjectKind.EXCHANGE, id),
        "task_type": "sums",
        "model": model,
        "client_id": "cli_1",
        "sensitivity": "internal",
        "started_ms": 1000,
        "answered": True,
        "has_text": True,
        "messages": (Said("user", "2 + 2?"),),
        "answer": answer,
    }
    return SubjectFacts(**{**given, **more})


def case(*judges: str, mode: Mode = Mode.POINTWISE, other: SubjectFacts | None = None, **asked: Any) -> Case:
    """A case of one answer, or of two."""
    return Case(
        id="jdg_1",
        asked=Asked(mode=mode, judges=judges, **asked),
        facts=facts(),
        other=other,
        sensitivity="internal",
        allow_cloud=True,
    )


def words(request: ChatRequest) -> str:
    """All that a judge was told."""
    return "\n".join(message.text for message in request.messages)
