"""Following jobs is bounded for each client, and a place is free again however the following ends."""

from __future__ import annotations

from typing import Any

import pytest

from junto.coordination.signals_memory import MemorySignals
from junto.core.errors import RateLimited
from junto.jobs.following import Follower
from junto.jobs.news import News
from tests.unit.gateway.one_backend import StillClock
from tests.unit.jobs.claims import a_claim

pytestmark = pytest.mark.anyio
JOB = a_claim().job


class Store:
    """Has one job, which runs."""

    def __init__(self) -> None:
        self.looks = 0

    async def find(self, *_: Any) -> Any:
        self.looks += 1
        return JOB


def follower(store: Store) -> Follower:
    return Follower(store, News(MemorySignals()), StillClock(), most=2)  # type: ignore[arg-type]


async def test_a_client_follows_only_so_many_at_once_and_others_are_not_concerned() -> None:
    store = Store()
    follow = follower(store).follow
    held = [follow(JOB, watcher="a") for _ in range(2)]
    assert [(await anext(each))[0] for each in held] == ["status", "status"]
    looks = store.looks
    with pytest.raises(RateLimited, match="follows 2 jobs at once already") as refused:
        await anext(follow(JOB, watcher="a"))
    assert (store.looks, refused.value.retry_after) == (looks, 2.0)
    other = follow(JOB, watcher="b")
    assert (await anext(other))[0] == "status"
    await held[0].aclose()
    again = follow(JOB, watcher="a")
    assert (await anext(again))[0] == "status"
    for each in (held[1], other, again):
        await each.aclose()


async def test_whoever_never_began_to_follow_takes_no_place() -> None:
    made = follower(Store())
    for _ in range(5):
        await made.follow(JOB, watcher="a").aclose()
    held = made.follow(JOB, watcher="a")
    assert (await anext(held))[0] == "status"
    await held.aclose()
    assert made._watching == {}
