"""What the database says when all is over, read by its superuser: nothing of Junto stands between."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg.rows import dict_row

from tests.chaos.dispatch.cluster import PRICE
from tests.chaos.jobs.processes import until
from tests.conformance.databases import LOGIN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.chaos.dispatch.cluster import Node

_ENDS: Final = frozenset({"complete", "failed", "cancelled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of the jobs that were accepted. `charged` and `due` are nano-dollars."""

    lost: int
    doubled: int
    ends: Counter[str]
    errors: Counter[str]
    charged: int
    due: int


class Books:
    """The tables of one database."""

    def __init__(self, url: str) -> None:
        self._url = url.replace(f"//{LOGIN}@", "//postgres@")

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The rows of a query."""
        with psycopg.connect(self._url, autocommit=True, row_factory=dict_row) as connection:
            return connection.execute(query.encode()).fetchall()

    def open_jobs(self) -> int:
        """How many jobs have not ended."""
        (found,) = self.ask("SELECT count(*) AS open FROM jobs WHERE status IN ('pending', 'running')")
        return int(found["open"])

    def drained(self, seconds: float) -> None:
        """Wait until all jobs have ended."""
        until(lambda: self.open_jobs() == 0, seconds, every=0.2)

    def verdict(self, accepted: Mapping[str, str]) -> Verdict:
        """Judge the jobs: each of those accepted is there, ended once, and is in the ledger once if it ran."""
        jobs = {job["id"]: job for job in self.ask("SELECT id, status, error_code, cost_nano, fence FROM jobs")}
        ledger = {
            row["id"]: row["cost_nano"] for row in self.ask("SELECT id, cost_nano FROM ledger WHERE kind = 'job'")
        }
        ok = Counter(row["job_id"] for row in self.ask("SELECT job_id FROM job_attempts WHERE outcome = 'ok'"))
        told = set(accepted.values())
        ended = {id for id, job in jobs.items() if job["status"] in _ENDS}
        unposted = {id for id, job in jobs.items() if job["status"] in {"complete", "failed"}} - set(ledger)
        complete = {id for id, job in jobs.items() if job["status"] == "complete"}
        return Verdict(
            lost=len((told - ended) | unposted),
            doubled=len(set(jobs) - told)
            + sum(count > 1 for count in ok.values())
            + sum(ledger[id] != PRICE for id in complete & set(ledger))
            + len(set(ledger) - set(jobs)),
            ends=Counter(job["status"] for job in jobs.values()),
            errors=Counter(job["error_code"] for job in jobs.values() if job["error_code"]),
            charged=sum(ledger.values()),
            due=PRICE * len(complete),
        )

    def exchanges(self) -> list[str]:
        """The ids of the exchanges that were charged."""
        return [row["id"] for row in self.ask("SELECT id FROM ledger WHERE kind = 'exchange' AND cost_nano > 0")]

    def budgets(self) -> list[tuple[int, int, int]]:
        """What is spent, held and allowed, of each budget."""
        found = self.ask("SELECT spent_nano, reserved_nano, limit_nano FROM budgets")
        return [(int(row["spent_nano"]), int(row["reserved_nano"]), int(row["limit_nano"])) for row in found]

    def leased(self) -> int:
        """What a process had drawn without hearing of it, when its database went away: held until the lease is over, by no job."""
        (found,) = self.ask(
            "SELECT coalesce(sum(amount_nano), 0)::bigint AS nano FROM reservations WHERE holder LIKE '%:%'"
        )
        return int(found["nano"])

    def ledger_sum(self) -> int:
        """What everything has cost."""
        (found,) = self.ask("SELECT coalesce(sum(cost_nano), 0)::bigint AS cost FROM ledger")
        return int(found["cost"])

    def recoveries(self, dead: Iterable[Node]) -> list[float]:
        """For each attempt that died with its worker: seconds until the next began, or the job had failed."""
        died = {node.id: node.ended_ms for node in dead}
        next_ms = (
            "SELECT a.worker, coalesce((SELECT min(b.started_ms) FROM job_attempts b WHERE b.job_id = a.job_id"
            " AND b.number > a.number), j.finished_ms) AS again_ms FROM job_attempts a"
            " JOIN jobs j ON j.id = a.job_id WHERE a.outcome = 'crashed'"
        )
        return [(row["again_ms"] - died[row["worker"]]) / 1000 for row in self.ask(next_ms) if row["worker"] in died]

    def longest_wait(self) -> float:
        """Seconds from the submission of a job to its first attempt, at most."""
        (found,) = self.ask("SELECT max(started_ms - created_ms) AS ms FROM jobs")
        return (found["ms"] or 0) / 1000
