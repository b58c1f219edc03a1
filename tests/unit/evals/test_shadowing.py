"""When shadows are tried, given back and dropped: decided by what the candidate, the route and the client say at that moment."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

from junto.core.chat import ToolCall
from junto.core.errors import (
    AllBackendsDown,
    JuntoError,
    NotServable,
    Overloaded,
    UnknownModel,
    Unsupported,
    UpstreamFailed,
)
from junto.core.exchange import ExchangeRecord, Outcome
from junto.core.sensitivity import Sensitivity
from junto.core.usage import Usage
from junto.evals.shadowing import Pace, Shadowing
from junto.evals.standing import Standing
from junto.ports.replays import GaveWay, Prospect, Replay, Replayed
from junto.ports.shadows import CapReached, Claim, Ended, ShadowStatus, StoredShadow, Swept, Waiting, Why
from junto.routing.route_table import RouteTable
from junto.routing.routes import Route, ShadowModel
from tests.unit.gateway.one_backend import StillClock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

pytestmark = pytest.mark.anyio

SHADOW = StoredShadow(
    id="shd_1", tenant_id="ten_1", task_type="mail", source_id="req_1", client_id="cli_1", sensitivity="internal",
    wire="openai.chat", model="rival", request=b"{}",
)  # fmt: skip
RECORD = ExchangeRecord(
    id="req_2", started_ms=1, wire="openai.chat", operation="chat", requested_model="rival", sensitivity="internal",
    stream=False, outcome=Outcome.OK, status=200, duration_ms=1, cost_nano=7, keep="full",
)  # fmt: skip
REPLAYED = Replayed(
    text="so", finish_reason="stop", model="rival", backend="back", usage=Usage(input=2, output=1), nano=7, latency_ms=5,
    record=RECORD,
)  # fmt: skip
IDLE = Prospect(backend="back", model="rival", is_local=True, is_idle=True, nano=9)


class Work:
    """Shadows that wait, in memory; `ends` is what was written of them."""

    def __init__(self, *shadows: StoredShadow) -> None:
        self.shadows = list(shadows)
        self.claims: list[dict[str, Any]] = []
        self.ends: list[Ended] = []
        self.drops: list[Why] = []
        self.released: list[str | None] = []
        self.is_full = self.is_taken = self.is_lost = self.is_away = False

    async def waiting(self) -> Sequence[Waiting]:
        if self.is_away:
            raise Overloaded("away")
        return [Waiting(shadow=each, count=1) for each in self.shadows]

    async def claim(self, shadow: StoredShadow, worker: str, **held: Any) -> Claim | None:
        self.claims.append(held)
        self.shadows.remove(shadow)
        if self.is_full:
            raise CapReached
        return None if self.is_taken else Claim(shadow=shadow, fence=shadow.fence + 1)

    async def drop(self, shadow: StoredShadow, reason: Why) -> bool:
        self.shadows.remove(shadow)
        self.drops.append(reason)
        return True

    async def end(self, claim: Claim, ended: Ended) -> bool:
        if self.is_lost:
            return False
        self.ends.append(ended)
        return True

    async def renew(self, claims: Sequence[Claim], *, lease_ms: int) -> None:
        """Nothing is lost here."""

    async def sweep(self, *, older_than_ms: int, most_attempts: int) -> Sequence[Swept]:
        return ()

    async def release(self, worker: str | None) -> None:
        self.released.append(worker)


class Stage:
    """A runner with everything around it made to order; `told` is what an observer hears."""

    def __init__(self, *shadows: StoredShadow, says: Replayed | BaseException = REPLAYED, **more: Any) -> None:
        self.work = Work(*(shadows or (SHADOW,)))
        self.says = says
        self.prospects: dict[str, Prospect] = {}
        self.asked: list[Replay] = []
        self.gate: asyncio.Event | None = None
        self.told: Counter[tuple[str, str]] = Counter()
        self.table = RouteTable.of([self.route("rival", "other")])
        self.standing = Standing(allow_cloud=True)
        self.runner = Shadowing(
            self.work,
            cast("Any", self),  # what of Replays is used
            routes=lambda: self.table,
            standing=lambda _client, _tenant: self.standing,
            observer=self,
            clock=StillClock(),
            make_id=lambda: "req_new",
            worker="w1",
            is_alone=True,
            pace=Pace(**more),
        )

    def route(self, *models: str) -> Route:
        shadows = tuple(ShadowModel(model=model, rate=1.0, daily_cap_nano=100) for model in models)
        return Route(task_type="mail", preferred_model="usual", shadow_models=shadows)

    def prospect(self, replay: Replay) -> Prospect:
        return self.prospects.get(replay.parent_id, IDLE)

    async def run(self, replay: Replay, *, on_record: Any) -> Replayed:
        self.asked.append(replay)
        if self.gate is not None:
            await self.gate.wait()
        on_record(RECORD)
        if isinstance(self.says, BaseException):
            raise self.says
        return self.says

    def shadow_sampled(self, *, task_type: str, model: str) -> None:
        """Not here."""

    def shadow_ended(self, *, task_type: str, model: str, status: str, reason: str) -> None:
        self.told[status, reason] += 1

    def shadows_wait(self, waiting: Mapping[tuple[str, str], int]) -> None:
        self.told["waiting", ""] = sum(waiting.values())

    async def look(self) -> Ended | None:
        """One look, and what it has begun goes to its end."""
        await self.runner.look()
        await asyncio.gather(*self.runner._running)
        return self.work.ends[-1] if self.work.ends else None


def but(**changes: Any) -> StoredShadow:
    return msgspec.structs.replace(SHADOW, **changes)


async def test_one_that_is_answered_is_complete_with_what_it_used_and_cost() -> None:
    stage = Stage()
    assert await stage.look() == Ended(
        status=ShadowStatus.COMPLETE, nano=7, answer=b'{"response":"so"}', model_used="rival", backend="back", tokens_in=2,
        tokens_out=1, latency_ms=5,
    )  # fmt: skip
    (replay,) = stage.asked
    assert (replay.id, replay.parent_id, replay.tenant_id, replay.sensitivity, replay.allow_cloud) == (
        "req_new", "req_1", "ten_1", "internal", True,
    )  # fmt: skip
    assert stage.work.claims == [{"lease_ms": 30_000, "nano": 9, "cap_nano": 100}]
    assert stage.told["complete", ""] == 1


async def test_calls_of_tools_are_kept_as_a_jobs_are() -> None:
    called = msgspec.structs.replace(REPLAYED, text="", tool_calls=(ToolCall("1", "look", ""),))
    ended = await Stage(says=called).look()
    assert ended is not None
    assert msgspec.json.decode(ended.answer or b"")["tool_calls"] == [
        {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    ]


@pytest.mark.parametrize(
    ("shadow", "status", "reason"),
    [
        (SHADOW, ShadowStatus.PENDING, ""),
        (but(fence=1), ShadowStatus.PENDING, ""),
        (but(fence=2), ShadowStatus.DROPPED, "gave_way"),
        (but(fence=2, attempts=1), ShadowStatus.PENDING, ""),
    ],
)
async def test_one_that_gives_way_waits_again_and_the_third_time_not(
    shadow: StoredShadow, status: ShadowStatus, reason: str
) -> None:
    stage = Stage(shadow, says=GaveWay("Real work came first."))
    assert await stage.look() == Ended(status=status, error_code=reason, nano=7)


@pytest.mark.parametrize(
    ("shadow", "error", "status"),
    [
        (SHADOW, UpstreamFailed("broke off"), ShadowStatus.PENDING),
        (but(attempts=1), UpstreamFailed("broke off"), ShadowStatus.FAILED),
        (SHADOW, Unsupported("no tools"), ShadowStatus.FAILED),
        (SHADOW, RuntimeError("a defect"), ShadowStatus.PENDING),
    ],
)
async def test_one_that_fails_is_tried_twice_unless_it_can_only_fail(
    shadow: StoredShadow, error: Exception, status: ShadowStatus
) -> None:
    code = error.code if isinstance(error, JuntoError) else "internal_error"
    assert await Stage(shadow, says=error).look() == Ended(status=status, error_code=code, failed=True, nano=7)


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [(NotServable("stays"), Why.FLOOR), (Unsupported("no pictures"), Why.UNSUITED)],
)
async def test_one_that_can_never_be_asked_is_dropped_before_it_is(refusal: JuntoError, reason: Why) -> None:
    stage = Stage()
    stage.prospects["req_1"] = Prospect(refusal=refusal)
    await stage.look()
    assert stage.work.drops == [reason]
    assert stage.asked == []
    assert stage.told["dropped", reason.value] == 1


@pytest.mark.parametrize(
    "prospect",
    [
        Prospect(refusal=AllBackendsDown("down")),
        Prospect(refusal=UnknownModel("gone")),
        msgspec.structs.replace(IDLE, is_idle=False),
    ],
)
async def test_one_that_cannot_be_asked_now_goes_on_waiting(prospect: Prospect) -> None:
    stage = Stage()
    stage.prospects["req_1"] = prospect
    await stage.look()
    assert stage.work.shadows == [SHADOW]
    assert (stage.asked, stage.told["waiting", ""]) == ([], 1)


async def test_what_the_client_says_by_now_counts() -> None:
    raised = Stage()
    raised.standing = Standing(floor=Sensitivity.CONFIDENTIAL)
    await raised.look()
    assert (raised.asked[0].sensitivity, raised.asked[0].allow_cloud) == ("confidential", False)
    gone = Stage()
    gone.standing = Standing(refused=True)
    await gone.look()
    assert gone.work.drops == [Why.DISABLED]


async def test_what_the_route_says_by_now_counts() -> None:
    stage = Stage()
    stage.table = RouteTable.of([stage.route("other")])
    await stage.look()
    assert stage.work.drops == [Why.UNROUTED]
    unknown = Stage()
    unknown.table = RouteTable()
    await unknown.look()  # nobody has read the routes yet
    assert unknown.work.shadows == [SHADOW]


async def test_one_whose_request_cannot_be_read_is_dropped() -> None:
    stage = Stage(but(request=b""))
    await stage.look()
    assert stage.work.drops == [Why.UNREADABLE]


async def test_one_beyond_the_days_cap_is_told_as_dropped() -> None:
    stage = Stage()
    stage.work.is_full = True
    await stage.look()
    assert (stage.asked, stage.told["dropped", "daily_cap"]) == ([], 1)


async def test_one_that_another_worker_has_is_left_to_it() -> None:
    stage = Stage()
    stage.work.is_taken = True
    await stage.look()
    assert (stage.asked, stage.work.ends) == ([], [])


async def test_a_lost_one_is_not_told_of() -> None:
    stage = Stage()
    stage.work.is_lost = True
    await stage.look()
    assert stage.told["complete", ""] == 0


async def test_a_local_backend_has_one_at_a_time_and_all_together_have_their_bound() -> None:
    shadows = [but(id=f"shd_{n}", source_id=f"req_{n}", model=("rival", "other")[n % 2]) for n in range(6)]
    local, cloud = Stage(*shadows), Stage(*shadows, most=3)
    for n in range(6):
        cloud.prospects[f"req_{n}"] = msgspec.structs.replace(IDLE, is_local=False)
    for stage, most in ((local, 1), (cloud, 3)):
        stage.gate = asyncio.Event()
        await stage.runner.look()
        await asyncio.sleep(0)
        assert len(stage.asked) == most
        await stage.runner.stop()


async def test_a_runner_that_stops_gives_back_what_it_has() -> None:
    stage = Stage(look=0.001)
    stage.gate = asyncio.Event()
    stage.runner.start()
    while not stage.asked:  # noqa: ASYNC110  what is waited for is a list
        await asyncio.sleep(0)
    await stage.runner.stop()
    await stage.runner.stop()
    assert stage.work.ends == [Ended(status=ShadowStatus.PENDING)]
    before, after = stage.work.released
    assert before is None  # what a process before it held
    assert after is not None  # its own, which may have been claimed in the moment that it stopped


async def test_a_database_that_is_away_ends_nothing() -> None:
    stage = Stage(look=0.001)
    stage.work.is_away = True
    stage.runner.start()
    for _ in range(20):
        await asyncio.sleep(0.001)
    stage.work.is_away = False
    while not stage.work.ends:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    await stage.runner.stop()
    assert stage.told["complete", ""] == 1
