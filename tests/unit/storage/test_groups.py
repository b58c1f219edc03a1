"""Work of many callers done together: who shares a group, and what becomes of each."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from junto.core.errors import Overloaded
from junto.storage.groups import Groups

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.anyio


class Bench:
    """Work that waits until it is let go, and remembers its groups; an item below zero is refused, 99 breaks its group."""

    def __init__(self) -> None:
        self.groups: list[tuple[str, list[int]]] = []
        self.go = asyncio.Event()
        self.away = False

    async def work(self, key: str, items: Sequence[int]) -> list[int | Exception]:
        self.groups.append((key, list(items)))
        await self.go.wait()
        if self.away:
            raise Overloaded("away")
        if 99 in items:
            raise RuntimeError("broken")
        return [ValueError(item) if item < 0 else item * 10 for item in items]


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_those_who_come_while_a_group_is_worked_at_make_up_the_next() -> None:
    bench = Bench()
    groups = Groups(bench.work, most=8)
    first = asyncio.create_task(groups.join("a", 1))
    await settled()
    others = [asyncio.create_task(groups.join("a", item)) for item in (2, 3, 4)]
    await settled()
    assert bench.groups == [("a", [1])]
    bench.go.set()
    assert await first == 10
    assert await asyncio.gather(*others) == [20, 30, 40]
    assert bench.groups == [("a", [1]), ("a", [2, 3, 4])]


async def test_keys_do_not_wait_for_each_other() -> None:
    bench = Bench()
    groups = Groups(bench.work, most=8)
    tasks = [asyncio.create_task(groups.join(key, 1)) for key in ("a", "b")]
    await settled()
    assert sorted(bench.groups) == [("a", [1]), ("b", [1])]
    bench.go.set()
    assert await asyncio.gather(*tasks) == [10, 10]


async def test_a_group_has_no_more_than_so_many() -> None:
    bench = Bench()
    bench.go.set()
    groups = Groups(bench.work, most=2)
    assert await asyncio.gather(*(groups.join("a", item) for item in range(5))) == [0, 10, 20, 30, 40]
    assert [len(items) for _, items in bench.groups] == [2, 2, 1]


async def test_items_that_have_to_be_apart_are_never_in_one_group() -> None:
    bench = Bench()
    bench.go.set()
    groups = Groups(bench.work, most=8, apart=lambda item: item % 2 or None)
    assert await asyncio.gather(*(groups.join("a", item) for item in (1, 2, 3, 4))) == [10, 20, 30, 40]
    assert [items for _, items in bench.groups] == [[1, 2], [3, 4]]


async def test_one_that_is_refused_does_not_spoil_it_for_the_others() -> None:
    bench = Bench()
    bench.go.set()
    groups = Groups(bench.work, most=8)
    found = await asyncio.gather(*(groups.join("a", item) for item in (1, -1, 2)), return_exceptions=True)
    assert found[0] == 10
    assert isinstance(found[1], ValueError)
    assert found[2] == 20


async def test_what_breaks_a_group_is_told_to_all_of_it_and_the_next_goes_on() -> None:
    bench = Bench()
    groups = Groups(bench.work, most=2)
    tasks = [asyncio.create_task(groups.join("a", item)) for item in (99, 1, 2)]
    await settled()
    bench.go.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in found] == [RuntimeError, RuntimeError, int]


async def test_a_database_that_is_away_is_told_to_those_who_wait_as_well() -> None:
    bench = Bench()
    bench.away = True
    groups = Groups(bench.work, most=1)
    tasks = [asyncio.create_task(groups.join("a", item)) for item in (1, 2, 3)]
    await settled()
    bench.go.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in found] == [Overloaded] * 3
    assert bench.groups == [("a", [1])]
    bench.away = False
    assert await groups.join("a", 4) == 40


async def test_whoever_gives_up_before_its_group_began_is_left_out() -> None:
    bench = Bench()
    groups = Groups(bench.work, most=8)
    first = asyncio.create_task(groups.join("a", 1))
    await settled()
    second, third = (asyncio.create_task(groups.join("a", item)) for item in (2, 3))
    await settled()
    second.cancel()
    await settled()
    bench.go.set()
    assert [await first, await third] == [10, 30]
    assert bench.groups == [("a", [1]), ("a", [3])]
