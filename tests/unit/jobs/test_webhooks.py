"""What a webhook says, when it is tried again, and when no more."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.core.secret import Secret
from junto.jobs.signing import EVENT_ID, verify
from junto.jobs.webhooks import GIVE_UP_MS, Webhooks, body_of, delay_ms
from junto.ports.outbound import Delivered
from junto.ports.webhooks import Delivery, Notice

pytestmark = pytest.mark.anyio

NOTICE = Notice(
    tenant_id="default",
    id="evt_1",
    job_id="job_1",
    client_id="cli_1",
    url="https://example.com/hook",
    attempt=1,
    sensitivity="public",
    now_ms=1_000_000,
    finished_ms=999_000,
)
JOB = {"job_id": "job_1", "status": "complete", "response": "The answer.", "cost_usd": "0.1", "metadata": {"a": "b"}}
DELIVERED = Delivered(status=200)
FAILED = Delivered(status=500, failure="The receiver answered 500.")


class Store:
    """An outbox in memory: gives each notice once, and keeps what it is told."""

    def __init__(self, *notices: Notice) -> None:
        self.due = list(notices)
        self.told: list[tuple[str, str, Any]] = []
        self.away = 0

    async def claim(self, *, limit: int, hold_ms: int) -> Sequence[Notice]:
        if self.away:
            self.away -= 1
            raise OSError("the database is away")
        taken, self.due = self.due[:limit], self.due[limit:]
        return taken

    async def delivered(self, notice: Notice) -> None:
        self.told.append(("delivered", notice.id, None))

    async def retry(self, notice: Notice, *, delay_ms: int, error: str) -> None:
        self.told.append(("retry", notice.id, error))

    async def give_up(self, notice: Notice, *, error: str) -> None:
        self.told.append(("give_up", notice.id, error))

    async def deliveries(self, tenant_id: str, job_id: str) -> Sequence[Delivery]:
        return ()


class Jobs:
    def __init__(self, job: Mapping[str, Any] | None = JOB) -> None:
        self.job = job

    async def find_public(self, tenant_id: str, job_id: str) -> Mapping[str, Any] | None:
        return self.job


class Receiver:
    """A deliverer that answers from a list, the last one again and again."""

    def __init__(self, *answers: Delivered) -> None:
        self.answers = list(answers) or [DELIVERED]
        self.posted: list[tuple[str, Mapping[str, str], bytes]] = []
        self.block: asyncio.Event | None = None
        self.closed = 0

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Delivered:
        self.posted.append((url, headers, body))
        if self.block is not None:
            await self.block.wait()
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    async def close(self) -> None:
        self.closed += 1


class Clock:
    def monotonic(self) -> float:
        return 0.0

    def wall_ms(self) -> int:
        return 1_763_700_000_999


def service(store: Store, receiver: Receiver, jobs: Jobs | None = None, **options: Any) -> Webhooks:
    return Webhooks(
        store=store,
        jobs=jobs or Jobs(),
        deliverer=receiver,
        key_of=lambda tenant, client: Secret(f"key of {tenant}/{client}"),
        clock=Clock(),
        jitter=lambda: 0.5,
        **options,
    )


async def test_a_public_job_is_sent_whole_and_signed_with_its_clients_key() -> None:
    store, receiver = Store(NOTICE), Receiver()
    assert await service(store, receiver).deliver_due() == 1
    [(url, headers, body)] = receiver.posted
    assert url == NOTICE.url
    assert json.loads(body) == {**JOB, "poll_url": "/jobs/job_1"}
    assert headers[EVENT_ID] == "evt_1"
    assert verify(Secret("key of default/cli_1"), headers, body, now=1_763_700_000)
    assert store.told == [("delivered", "evt_1", None)]


@pytest.mark.parametrize("tier", ["internal", "confidential", "unknown", ""])
def test_of_any_other_tier_only_that_it_ended_is_sent(tier: str) -> None:
    body = body_of(JOB, msgspec.structs.replace(NOTICE, sensitivity=tier))
    assert json.loads(body) == {"job_id": "job_1", "status": "complete", "poll_url": "/jobs/job_1"}


@given(st.dictionaries(st.text(max_size=20), st.text(min_size=3, max_size=40)))
def test_no_field_that_a_job_may_get_one_day_is_sent_beyond_public(fields: dict[str, str]) -> None:
    body = body_of({**fields, **JOB}, msgspec.structs.replace(NOTICE, sensitivity="confidential"))
    assert set(json.loads(body)) == {"job_id", "status", "poll_url"}


def test_a_huge_answer_is_left_for_the_link() -> None:
    body = body_of({**JOB, "response": "x" * 2_000_000}, NOTICE)
    assert json.loads(body) == {"job_id": "job_1", "status": "complete", "poll_url": "/jobs/job_1"}


async def test_what_failed_is_tried_again_with_the_reason_kept() -> None:
    store = Store(NOTICE)
    await service(store, Receiver(FAILED)).deliver_due()
    assert store.told == [("retry", "evt_1", "The receiver answered 500.")]


async def test_a_day_after_the_job_ended_it_is_given_up() -> None:
    late = msgspec.structs.replace(NOTICE, attempt=12, finished_ms=NOTICE.now_ms - GIVE_UP_MS + 1000)
    store = Store(late)
    await service(store, Receiver(FAILED)).deliver_due()
    assert store.told == [("give_up", "evt_1", "The receiver answered 500.")]


async def test_even_then_it_is_tried_once() -> None:
    """Junto may have been down for two days."""
    store, receiver = Store(msgspec.structs.replace(NOTICE, finished_ms=0, now_ms=3 * GIVE_UP_MS)), Receiver()
    await service(store, receiver).deliver_due()
    assert store.told == [("delivered", "evt_1", None)]


async def test_a_receiver_that_is_gone_is_not_asked_again() -> None:
    store = Store(NOTICE)
    await service(store, Receiver(Delivered(status=410, failure="The receiver answered 410."))).deliver_due()
    assert store.told == [("give_up", "evt_1", "The receiver answered 410.")]


async def test_a_job_that_was_deleted_has_nothing_to_tell() -> None:
    store, receiver = Store(NOTICE), Receiver()
    await service(store, receiver, Jobs(None)).deliver_due()
    assert store.told == [("give_up", "evt_1", "The job is gone.")]
    assert receiver.posted == []


@given(st.integers(1, 1000), st.floats(0, 1, exclude_max=True))
def test_delays_grow_up_to_three_hours_and_are_never_nothing(attempt: int, jitter: float) -> None:
    delay = delay_ms(attempt, jitter=jitter)
    assert 5_000 <= delay <= 3 * 3_600_000
    assert delay <= 10_000 * 2 ** (attempt - 1)


def test_a_day_holds_a_sensible_number_of_tries() -> None:
    """Enough for a receiver that is away over night, and not a flood."""
    waited, tries = 0, 1
    while (delay := delay_ms(tries, jitter=0.5)) + waited <= GIVE_UP_MS:
        waited, tries = waited + delay, tries + 1
    assert 15 <= tries <= 30


def test_a_receiver_that_asks_for_more_time_gets_it() -> None:
    assert delay_ms(1, jitter=0, retry_after=120) == 120_000
    assert delay_ms(1, jitter=0, retry_after=1) == 5_000


async def test_the_service_delivers_what_is_due_without_being_asked() -> None:
    store, receiver = Store(*(msgspec.structs.replace(NOTICE, id=f"evt_{n}") for n in range(40))), Receiver()
    webhooks = service(store, receiver, pause=0.01, at_once=4)
    webhooks.start()
    async with asyncio.timeout(10):
        while len(store.told) < 40:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    await webhooks.stop()
    await webhooks.stop()
    assert {id for _, id, _ in store.told} == {f"evt_{n}" for n in range(40)}
    assert receiver.closed


async def test_no_more_than_so_many_are_under_way_at_once() -> None:
    store, receiver = Store(*(msgspec.structs.replace(NOTICE, id=f"evt_{n}") for n in range(10))), Receiver()
    receiver.block = asyncio.Event()
    webhooks = service(store, receiver, pause=0.01, at_once=3)
    webhooks.start()
    async with asyncio.timeout(10):
        while len(receiver.posted) < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.05)
    assert (len(receiver.posted), len(store.due)) == (3, 7)
    await webhooks.stop()
    assert store.told == []


async def test_a_database_that_is_away_is_asked_again() -> None:
    store, receiver = Store(NOTICE), Receiver()
    store.away = 3
    webhooks = service(store, receiver, pause=0.005)
    webhooks.start()
    async with asyncio.timeout(10):
        while not store.told:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    await webhooks.stop()
    assert store.told == [("delivered", "evt_1", None)]


async def test_a_wake_is_not_lost() -> None:
    store, receiver = Store(), Receiver()
    webhooks = service(store, receiver, pause=60)
    webhooks.start()
    await asyncio.sleep(0.01)
    store.due.append(NOTICE)
    webhooks.wake()
    async with asyncio.timeout(10):
        while not store.told:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    await webhooks.stop()
    assert store.told == [("delivered", "evt_1", None)]
