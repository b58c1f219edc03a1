"""Death at every effect of a job in turn, from submit to finish: each commit, hint, upstream byte and write to a file.

One process after the other is given a job and dies before or after its first effect, its second, and so on, until one of them outlives
its job. The next one finds what the last has left. The short run takes every few effects, the full one all of them.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from tests.chaos.jobs.processes import Child, orders, until
from tests.chaos.jobs.stock import Stock
from tests.chaos.jobs.test_failpoints import PRICE, status, submit
from tests.chaos.sizes import PATIENCE, size

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STRIDE = size(9, 1)
MOST_EFFECTS = 150
WAYS = size(
    [("postgres", True)],  # test_failpoints.py is short, too, and on SQLite
    [("sqlite", False), ("sqlite", True), ("postgres", False), ("postgres", True)],
)
ENDS = {"complete", "failed", "cancelled"}


class Deaths:
    """One Junto after the other over the same data."""

    def __init__(self, data_dir: Path, place: Path | str, *, later: bool) -> None:
        self._data_dir = data_dir
        self._url = place if isinstance(place, str) else None
        self._later = later
        self.keys: list[str] = []
        self.accepted: dict[str, str] = {}
        self.died_at: list[str] = []

    def one(self, effect: int) -> bool:
        """Submit a job to a process that dies at that effect; whether it died."""
        with self._child(die_after=effect) as child:
            self._settled(child)
            child.send(signal.SIGUSR1)
            until(lambda: "armed" in child.lines)
            self.keys.append(f"key-{effect}")
            id = submit(child.url, self.keys[-1], later=self._later)
            if id is not None:
                self.accepted[self.keys[-1]] = id
            until(lambda: child.ended is not None or (id is not None and self._has_ended(child, id)), 30)
            grace = time.monotonic() + 0.7  # what is written of the exchange comes after the job's end
            until(lambda: child.ended is not None or time.monotonic() > grace)
            if child.ended is None:
                return False
            assert child.ended == 137
        self.died_at += [line.removeprefix("dies at ") for line in child.lines if line.startswith("dies at ")]
        return True

    def settle(self) -> None:
        """A process that lives."""
        with self._child() as child:
            self._settled(child)

    def _child(self, **more: object) -> Child:
        return Child(orders(self._data_dir, database_url=self._url, **more))

    def _told(self, child: Child, key: str, found: list[str]) -> bool:
        if id := submit(child.url, key, later=self._later):
            found.append(id)
        return bool(found)

    def _settled(self, child: Child) -> None:
        """Callers who heard nothing ask again with their keys, and all jobs end."""
        assert child.ready().ended is None
        for key in self.keys[-1:]:
            found: list[str] = []
            until(lambda: self._told(child, key, found), 30)  # noqa: B023  called at once
            assert self.accepted.setdefault(key, found[0]) == found[0]
        until(lambda: all(self._has_ended(child, id) for id in list(self.accepted.values())[-1:]), 30)

    def _has_ended(self, child: Child, id: str) -> bool:
        try:
            return child.ended is not None or status(child.url, id) in ENDS
        except httpx2.HTTPError:
            return False  # it has just died


@pytest.mark.timeout(PATIENCE)
@pytest.mark.parametrize(("kind", "later"), WAYS)
def test_a_job_ends_once_at_whatever_effect_its_process_dies(
    tmp_path: Path, request: pytest.FixtureRequest, kind: str, report: Callable[..., None], *, later: bool
) -> None:
    begun = time.monotonic()
    place: Path | str = tmp_path if kind == "sqlite" else str(request.getfixturevalue("postgres_url"))
    deaths = Deaths(tmp_path, place, later=later)
    first = next(effect for effect in range(1, MOST_EFFECTS, STRIDE) if not deaths.one(effect))
    deaths.settle()
    stock = Stock(place)
    jobs, ledger = {job["id"]: job for job in stock.jobs()}, {row["id"]: row for row in stock.ledger("job")}
    told = set(deaths.accepted.values())
    lost = [id for id in told if id not in jobs or jobs[id]["status"] not in ENDS or id not in ledger]
    report(
        scenario=f"1. death at every effect, {kind}, {'queued' if later else 'at once'}",
        attempted=f"{len(deaths.keys)} jobs, {len(deaths.died_at)} deaths, one at each of {first - 1} effects"
        + (f", every {STRIDE}th" if STRIDE > 1 else ""),
        lost=len(lost),
        doubled=len(set(jobs) - told) + len(set(ledger) - told),
        seconds=time.monotonic() - begun,
        also="at " + ", ".join(f"{each} x{count}" for each, count in sorted(kinds(deaths.died_at).items())),
    )
    assert lost == []
    assert set(jobs) == set(ledger) == told
    assert {job["status"] for job in jobs.values()} == {"complete"}
    assert {entry["cost_nano"] for entry in ledger.values()} == {PRICE}
    assert _ok_attempts(stock.attempts()) == dict.fromkeys(told, 1)
    assert len(deaths.died_at) >= size(2, 15)


def kinds(died_at: list[str]) -> Counter[str]:
    """How often it died at what; bytes from upstream are one kind."""
    return Counter("a byte from upstream" if each.startswith("byte") else each for each in died_at)


def _ok_attempts(attempts: list[Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for attempt in attempts:
        if attempt["outcome"] == "ok":
            found[attempt["job_id"]] = found.get(attempt["job_id"], 0) + 1
    return found
