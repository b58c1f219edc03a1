"""Death at every point from submit to finish, one after the other: what was accepted ends, once, and is charged once."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from tests.chaos.jobs.processes import Child, orders, until

if TYPE_CHECKING:
    from pathlib import Path

NOW = (
    "before submit",
    "after submit",
    "upstream",
    "in the answer",
    "before finish",
    "before charge_job",  # in the middle of the transaction
    "after charge_job",
    "after finish",
)
LATER = (
    "after submit",
    "before claim",
    "after claim",
    "in the answer",
    "after renew",
    "after finish",
    "after expire_leases",
)
PRICE = 5 * 1_000 + 5 * 2_000  # nano-dollars of five tokens in and five out
LOST = {"worker_lost", "poisonous"}  # of a job that was under way at three deaths


def body(key: str, *, later: bool) -> dict[str, Any]:
    return {"task_type": "t", "prompt": key, "model": "cloud-model", "sensitivity": "public", "async": later}


def submit(url: str, key: str, *, later: bool) -> str | None:
    """Submit once; the job's id if it was accepted."""
    try:
        response = httpx2.post(
            f"{url}/jobs", json=body(key, later=later), headers={"Idempotency-Key": key}, timeout=20, trust_env=False
        )
    except httpx2.HTTPError:
        return None
    if response.status_code in {200, 202} or response.json().get("status") == "failed":
        return str(response.json()["job_id"])
    assert response.status_code in {409, 503}, response.text
    return None


@pytest.mark.parametrize(("later", "points"), [(False, NOW), (True, LATER)], ids=["now", "later"])
def test_what_was_accepted_ends_once_wherever_the_process_dies(
    tmp_path: Path, points: tuple[str, ...], *, later: bool
) -> None:
    accepted: dict[str, str] = {}
    keys = []
    died = []
    for number, point in enumerate(points):
        keys.append(f"key-{number}")
        slow = "renew" in point  # long enough for a renewal
        with Child(orders(tmp_path, die_at=point, pause=0.2 if slow else 0.01)) as child:
            if child.ready().ended is None and (id := submit(child.url, keys[-1], later=later)):
                accepted[keys[-1]] = id
            if slow or child.ended is None:
                _wait_a_moment(child)
            died.append(child.ended == 137)
    with Child(orders(tmp_path)) as child:
        assert child.ready().ended is None
        for key in keys:  # a caller that heard nothing asks again with its key
            id = submit(child.url, key, later=True) if later else _until_told(child.url, key)
            assert id is not None
            assert accepted.setdefault(key, id) == id
        until(lambda: all(status(child.url, id) in _ENDS for id in accepted.values()), 30)
    jobs, ledger, attempts = _stored(tmp_path)
    assert set(jobs) == set(accepted.values())
    assert all(status == "complete" or error in LOST for status, error, _ in jobs.values()), jobs
    assert sorted(ledger) == sorted((id, cost) for id, (_, _, cost) in jobs.items())
    assert {cost for status, _, cost in jobs.values() if status == "complete"} == {PRICE}
    assert {cost for status, _, cost in jobs.values() if status == "failed"} <= {0}
    assert [status for status, _, _ in jobs.values()].count("complete") > len(points) // 2
    assert all(count <= 3 for count in attempts.values())
    assert died.count(True) >= len(points) - 1, list(zip(points, died, strict=True))


_ENDS = {"complete", "failed", "cancelled"}


def _wait_a_moment(child: Child) -> None:
    try:
        until(lambda: child.ended is not None, 4)
    except AssertionError:
        return  # that point is not on this way


def _until_told(url: str, key: str) -> str | None:
    """Ask again until the answer is there: meanwhile the first request counts as still running."""
    found: list[str] = []

    def asked() -> bool:
        if id := submit(url, key, later=False):
            found.append(id)
        return bool(found)

    until(asked, 30)
    return found[0]


def status(url: str, id: str) -> str:
    """Where the job is."""
    return str(httpx2.get(f"{url}/jobs/{id}", timeout=10, trust_env=False).json()["status"])


def _stored(directory: Path) -> tuple[dict[str, tuple[str, str, int]], list[tuple[str, int]], dict[str, int]]:
    """Jobs with status, error and cost, ledger entries, attempts by job: as a plain reader of the file sees them."""
    with closing(sqlite3.connect(directory / "junto.sqlite3")) as database:
        found = database.execute("SELECT id, status, error_code, cost_nano FROM jobs")
        jobs = {id: (status, error, cost) for id, status, error, cost in found}
        ledger = list(database.execute("SELECT id, cost_nano FROM ledger WHERE kind = 'job'"))
        attempts = dict(database.execute("SELECT job_id, count(*) FROM job_attempts GROUP BY job_id"))
    return jobs, ledger, attempts
