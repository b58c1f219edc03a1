"""A council as it sits, made of the chunks of its answer: who speaks, who is missing, what was said, what it costs so far. Pure.

Everything that comes from elsewhere is made fit for a terminal here, so nothing that is shown of a Sitting has to be.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from junto.cli.output import harmless

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Status(StrEnum):
    """What somebody at the table does; the words are shown."""

    WAITING = "waiting"
    SPEAKING = "speaking"
    RANKING = "ranking"
    WRITING = "writing"
    SAID = "said"
    MISSING = "missing"
    LATE = "late"
    LEFT_OUT = "left out"
    NOT_ASKED = "not asked"
    STOPPED = "stopped"


ACTIVE = frozenset({Status.SPEAKING, Status.RANKING, Status.WRITING})
GONE = frozenset({Status.MISSING, Status.LATE, Status.LEFT_OUT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A member, or the chair. `since` is when the call began that is under way; the figures are of all its calls before."""

    name: str
    model: str = ""
    backend: str = ""
    status: Status = Status.WAITING
    since: float | None = None
    seconds: float = 0.0
    tokens: int = 0
    cost: Decimal = Decimal(0)
    opinion: str = ""  # its last one
    reason: str = ""  # why it is missing
    is_chair: bool = False

    def lasted(self, now: float) -> float:
        """Seconds of all its calls, the one that is under way included."""
        return self.seconds + (max(0.0, now - self.since) if self.since is not None else 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sitting:
    """All of it at one moment. `started` and every `now` are of one clock that only goes forward, in seconds."""

    started: float
    template: str = ""
    rounds: int = 0
    quorum: int = 0
    stage: str = "convening"
    seats: tuple[Seat, ...] = ()
    answer: str = ""
    report: Mapping[str, Any] = field(default_factory=dict)  # the `council` object at the end
    seconds: float | None = None  # how long it took, once it is over
    stopped: bool = False
    failure: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self.seconds is not None

    @property
    def cost(self) -> Decimal:
        """Dollars so far."""
        return (
            _amount(self.report.get("cost_usd")) if self.report else sum((one.cost for one in self.seats), Decimal(0))
        )

    @property
    def tokens(self) -> int:
        """Of all calls so far."""
        if self.report:
            return _number(_mapping(self.report.get("usage")).get("total_tokens"))
        return sum(one.tokens for one in self.seats)

    def lasted(self, now: float) -> float:
        """Seconds since the question."""
        return now - self.started if self.seconds is None else self.seconds


def after(sitting: Sitting, chunk: Mapping[str, Any], now: float) -> Sitting:
    """The sitting after one more chunk. What is not understood changes nothing."""
    if text := text_of(chunk):
        sitting = replace(sitting, answer=sitting.answer + text)
    council = _mapping(chunk.get("council"))
    if "event" in council:
        return _told(sitting, council, words_of(chunk), now)
    return _concluded(sitting, council, now) if council else sitting


def ended(sitting: Sitting, now: float, *, stopped: bool = False, failure: str = "") -> Sitting:
    """The sitting when the stream is over, however that came; who still spoke then does not any more."""
    cut = Status.STOPPED if stopped else Status.MISSING

    def risen(one: Seat) -> Seat:
        if one.status in ACTIVE:
            return replace(one, status=cut, since=None, seconds=one.lasted(now))
        return replace(one, status=Status.NOT_ASKED) if one.status is Status.WAITING else one

    seats = tuple(risen(one) for one in sitting.seats)
    return replace(sitting, seats=seats, seconds=now - sitting.started, stopped=stopped, failure=harmless(failure))


def text_of(chunk: Mapping[str, Any]) -> str:
    """What the chunk adds to the answer."""
    return _said(chunk, "content")


def words_of(chunk: Mapping[str, Any]) -> str:
    """What the chunk says in reasoning."""
    return _said(chunk, "reasoning_content")


def _said(chunk: Mapping[str, Any], field: str) -> str:
    choices = chunk.get("choices")
    first = _mapping(choices[0]) if isinstance(choices, list) and choices else {}
    said = _mapping(first.get("delta")).get(field)
    return harmless(said) if isinstance(said, str) else ""


def opinion_in(words: str) -> str:
    """An opinion without the heading that says whose it is."""
    heading, _, rest = words.partition("\n")
    return rest.strip() if heading.startswith("### ") else words.strip()


def _told(sitting: Sitting, news: Mapping[str, Any], words: str, now: float) -> Sitting:
    match news.get("event"):
        case "convened":
            return _convened(sitting, news)
        case "round":
            number = _number(news.get("round"))
            stage = f"round {number} of {sitting.rounds}" if sitting.rounds else f"round {number}"
            return _asked(replace(sitting, stage=stage), news, Status.SPEAKING, now)
        case "ranking":
            return _asked(replace(sitting, stage="ranking"), news, Status.RANKING, now)
        case "synthesis":
            return _asked(replace(sitting, stage="synthesis"), news, Status.WRITING, now, chair=True)
        case "said":
            return _heard(sitting, news, Status.SAID, opinion_in(words))
        case "missed":
            return _heard(sitting, news, Status.LATE if news.get("late") is True else Status.MISSING, "")
        case _:
            return sitting


def _convened(sitting: Sitting, news: Mapping[str, Any]) -> Sitting:
    members = tuple(
        Seat(
            name=_text(one.get("name")),
            model=_text(one.get("model")),
            status=Status.LEFT_OUT if one.get("status") == "left_out" else Status.WAITING,
            reason=_text(one.get("reason")),
        )
        for one in _mappings(news.get("members"))
    )
    return replace(
        sitting,
        template=_text(news.get("template")),
        rounds=_number(news.get("rounds")),
        quorum=_number(news.get("quorum")),
        stage="convened",
        seats=(*members, Seat(name=_text(news.get("chair")) or "chair", is_chair=True)),
    )


def _asked(sitting: Sitting, news: Mapping[str, Any], status: Status, now: float, *, chair: bool = False) -> Sitting:
    asked = {_text(one.get("name")): one for one in _mappings(news.get("asked"))}

    def seated(one: Seat) -> Seat:
        call = asked.get(one.name)
        if call is None or one.is_chair is not chair:
            return one
        model, backend = _text(call.get("model")), _text(call.get("backend"))
        return replace(one, model=model, backend=backend, status=status, since=now, reason="")

    return replace(sitting, seats=tuple(seated(one) for one in sitting.seats))


def _heard(sitting: Sitting, news: Mapping[str, Any], status: Status, opinion: str) -> Sitting:
    name, role = _text(news.get("name")), news.get("role")

    def seated(one: Seat) -> Seat:
        if one.name != name or one.is_chair is not (role == "synthesis"):
            return one
        return replace(
            one,
            model=_text(news.get("model")) or one.model,
            backend=_text(news.get("backend")) or one.backend,
            status=status,
            since=None,
            seconds=one.seconds + _number(news.get("milliseconds")) / 1000,
            tokens=one.tokens + _number(news.get("tokens")),
            cost=one.cost + _amount(news.get("cost_usd")),
            opinion=opinion if role == "opinion" and opinion else one.opinion,
            reason=_text(news.get("reason")),
        )

    return replace(sitting, seats=tuple(seated(one) for one in sitting.seats))


def _concluded(sitting: Sitting, report: Mapping[str, Any], now: float) -> Sitting:
    """With the account at the end: it knows what the chair came to, and why members were left out."""
    members = {_text(one.get("name")): one for one in _mappings(report.get("members"))}
    chair = _mapping(report.get("chair"))

    def seated(one: Seat) -> Seat:
        told = chair if one.is_chair else members.get(one.name, {})
        status = one.status
        if one.is_chair and status in ACTIVE:
            status = Status.SAID if told.get("status") == "ok" else Status.MISSING
        return replace(
            one,
            model=_text(told.get("model")) or one.model,
            backend=_text(told.get("backend")) or one.backend,
            status=status,
            since=None,
            seconds=one.lasted(now),
            tokens=_number(_mapping(told.get("usage")).get("total_tokens")) or one.tokens,
            cost=_amount(told.get("cost_usd")) or one.cost,
            reason=_text(told.get("reason")) or one.reason,
        )

    return replace(sitting, stage="over", report=dict(report), seats=tuple(seated(one) for one in sitting.seats))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _mappings(value: object) -> Iterable[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _text(value: object) -> str:
    """One line of it."""
    return " ".join(harmless(value).split()) if isinstance(value, str) else ""


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _amount(value: object) -> Decimal:
    try:
        amount = Decimal(value) if isinstance(value, str) else Decimal(0)
    except InvalidOperation:
        return Decimal(0)
    return amount if amount.is_finite() else Decimal(0)
