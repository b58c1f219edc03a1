"""Jobs as their service, their workers and the sweeper ask storage for them. The row is the truth; only the database's clock counts.

A *claim* is one worker's right to run a job until its lease ends. Its *fence* is one higher than that of any claim before: what
is written with an older fence changes nothing. Whatever goes wrong with the database is raised as core.errors.Overloaded, and
leaves open whether it happened.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import msgspec

from junto.core.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Sequence


class Status(StrEnum):
    """The states of a job."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_end(self) -> bool:
        """Whether nothing happens to the job any more."""
        return self not in {Status.PENDING, Status.RUNNING}


class Kind(StrEnum):
    """What a job has done: a model's answer, or a text said aloud."""

    CHAT = ""
    SPEECH = "speech"


class OnCrash(StrEnum):
    """What becomes of a job whose worker died: run again, or failed, so that its upstream is called at most once."""

    RETRY = "retry"
    FAIL = "fail"


class AttemptOutcome(StrEnum):
    """How a worker's attempt at a job ended; "" while it runs."""

    RUNNING = ""
    OK = "ok"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RELEASED = "released"  # the worker was told to stop, and gave the job back
    CRASHED = "crashed"
    FENCED = "fenced"


class Idempotency(msgspec.Struct, frozen=True):
    """A caller's key for a submission, and the digest of the body that it came with."""

    key: str
    digest: str


class NewJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job to be written down. `request` is what the worker needs, as JSON; `deadline_ms` is from now.

    `charge` is what the job adds to its client's virtual time, `reserve_nano` what it may cost, of each of `budgets` (ids). `steps` is how
    many parts it is done in, where these are told of.
    """

    tenant_id: str
    id: str
    client_id: str
    key_id: str
    task_type: str
    default_route: bool
    priority: int
    asked_sensitivity: str
    sensitivity: str
    model: str  # that it runs under; another one after a failure may say so
    local: bool
    on_crash: OnCrash
    max_attempts: int
    deadline_ms: int | None
    request: bytes
    prompt_version: str
    metadata: str
    webhook: str
    charge: int = 1
    reserve_nano: int = 0
    budgets: tuple[str, ...] = ()
    idempotency: Idempotency | None = None
    kind: Kind = Kind.CHAT
    steps: int = 0


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job as it stands. `answer` is JSON; it and `request` are b"" where they were not asked for or are not kept.

    `error_code` is of its end, and before that of the latest attempt that failed.
    """

    tenant_id: str
    id: str
    client_id: str
    key_id: str
    task_type: str
    default_route: bool
    status: Status
    priority: int
    asked_sensitivity: str
    sensitivity: str
    model: str
    local: bool
    on_crash: OnCrash
    due_ms: int
    deadline_ms: int | None
    served_order: int
    turn: int = 0
    created_ms: int
    started_ms: int | None
    finished_ms: int | None
    fence: int
    worker: str
    attempts: int
    max_attempts: int
    crashes: int
    cancel_requested: bool
    tokens_so_far: int
    error_code: str
    error_message: str
    model_used: str
    backend: str
    finish_reason: str
    tokens_in: int
    tokens_out: int
    latency_ms: int
    cost_nano: int
    prompt_version: str
    metadata: str
    webhook: str
    kind: Kind = Kind.CHAT
    steps: int = 0
    steps_done: int = 0
    request: bytes = b""
    answer: bytes = b""


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A job that this worker has until its lease ends. `remaining_ms` is the time to its deadline, as of the claim."""

    job: Job
    worker: str
    attempt: int
    remaining_ms: int | None = None

    @property
    def key(self) -> tuple[str, str, int]:
        """What the claim is known by: tenant, job, fence."""
        return (self.job.tenant_id, self.job.id, self.job.fence)


class Submitted(msgspec.Struct, frozen=True, kw_only=True):
    """What a submission came to: a new job, or (`is_new` False) the one that its idempotency key already stands for."""

    job: Job
    is_new: bool
    digest: str = ""  # of the body that the key came with first
    claim: Claim | None = None


class JobQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs to list, newest first; `before` is an id. `tenant_id` None is all tenants, `client_id` None all clients."""

    tenant_id: str | None
    client_id: str | None
    status: Status | None = None
    task_type: str | None = None
    before: str | None = None
    limit: int = 50


class JobAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt as it is written down, before it begins and when it ends.

    `reasons` says of each deployment that was tried or passed over why it did not answer: `rack/m: credentials`.
    """

    number: int
    started_ms: int
    ended_ms: int | None
    outcome: str
    model: str
    backend: str
    error: str
    tokens: int
    swap_ms: int = 0  # the part of it in which its model was brought into memory
    reasons: tuple[str, ...] = ()


class Room(msgspec.Struct, frozen=True):
    """How many jobs a worker can take now: for local hardware, for the cloud, and (which are of neither) of speech.

    `full` are models whose own hardware has no room: local jobs of these are left to wait, others go before them.
    """

    local: int
    cloud: int
    full: tuple[str, ...] = ()
    speech: int = 0


class Renewal(msgspec.Struct, frozen=True):
    """A claim that was renewed, and whether its job is to be cancelled."""

    key: tuple[str, str, int]
    cancel_requested: bool


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a claim ends its job: the answer or the error, and what is charged. `answer` is JSON.

    `forget_request`: the tier keeps no bodies, so what was asked is deleted with the job's end. `reserved`: something may be held
    back for the job. `reasons` as in JobAttempt.
    """

    status: Status
    answer: bytes = b""
    error_code: str = ""
    error_message: str = ""
    model: str = ""
    backend: str = ""
    finish_reason: str = ""
    usage: Usage = Usage()
    latency_ms: int = 0
    swap_ms: int = 0
    cost_nano: int = 0
    price_date: str = ""
    webhook_id: str = ""
    forget_request: bool = False
    reserved: bool = True
    reasons: tuple[str, ...] = ()


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """A failed attempt after which the job is to run again, `delay_ms` from now; under another name if `model` says so.

    `counts` False: no model was reached, so the job may make one attempt more. `reasons` as in JobAttempt.
    """

    delay_ms: int
    error_code: str
    model: str | None = None
    counts: bool = True
    reasons: tuple[str, ...] = ()


class TriageDecision(msgspec.Struct, frozen=True, kw_only=True):
    """What a triage said about a failed attempt. `facts` is JSON of operational metadata, never content."""

    tenant_id: str
    id: str
    job_id: str
    facts: str
    decision: str
    latency_ms: int


class JobStore(Protocol):
    """What the jobs' own callers need. Each method is one transaction."""

    async def submit(self, job: NewJob, *, worker: str | None = None, lease_ms: int = 0) -> Submitted:
        """Write down the idempotency key, the budget's reservation and the job, or none of it; committed when it returns.

        With `worker` the job begins as that one's claim. Raises BudgetExceeded. A key that is known changes nothing.
        """

    async def find(self, tenant_id: str, job_id: str) -> Job | None:
        """The job with its answer."""

    async def find_anywhere(self, job_id: str) -> Job | None:
        """The same for the administrator, whoever's it is."""

    async def page(self, query: JobQuery) -> Sequence[Job]:
        """Jobs without their requests and answers."""

    async def attempts(self, tenant_id: str, job_id: str) -> Sequence[JobAttempt]:
        """The job's attempts, oldest first."""

    async def place(self, job: Job) -> int:
        """About how many pending jobs would be claimed before this one, plus one; 1001 stands for that and more."""

    async def cancel(self, tenant_id: str, job_id: str, *, force: bool, webhook_id: str) -> Job | None:
        """Cancel if it is pending; ask its worker to if it runs and `force` is set; the job as it then stands, None if unknown."""


class WorkStore(Protocol):
    """What workers need. Each method is one transaction; what a stale fence says changes nothing."""

    async def claim(
        self, worker: str, room: Room, *, lease_ms: int, limit: int = 1, prefer: Sequence[str] = ()
    ) -> Sequence[Claim]:
        """Take due jobs: fairly across clients, those whose model is in `prefer` first; of each client the most urgent; attempts are written."""

    async def renew(self, claims: Sequence[tuple[Claim, int]], *, lease_ms: int) -> Sequence[Renewal]:
        """Prolong the leases of those claims that still hold, and note the tokens so far of each."""

    async def to_cancel(self, worker: str) -> Sequence[tuple[str, str, int]]:
        """The keys of this worker's claims whose jobs are to be cancelled."""

    async def hold(self, claim: Claim, nano: int) -> bool:
        """Have so much in all reserved for the job, of each of its budgets, or change nothing: one has no room, or the fence is stale."""

    async def finish(self, claim: Claim, ending: Ending) -> int | None:
        """End the job: result, ledger entry, reservation and webhook at once; when that was, in milliseconds by the database's clock.

        None, and nothing done, with a stale fence.
        """

    async def retry(self, claim: Claim, retry: Retry) -> bool:
        """The attempt failed and the job is pending again; False with a stale fence."""

    async def release(self, claim: Claim) -> bool:
        """The worker stops: the job is pending again at once, and neither a crash nor one of its attempts; False when stale."""

    async def record_triage(self, decision: TriageDecision) -> None:
        """Write a decision down; its outcome is added when the job ends."""


class Lapsed(msgspec.Struct, frozen=True, kw_only=True):
    """A claim whose lease ran out, or a job whose deadline passed, and what became of the job."""

    job: Job
    status: Status


class SweepStore(Protocol):
    """What the sweeper needs. Any node may call it at any time; each finding is dealt with once."""

    async def expire_leases(self, *, make_id: MakeId, limit: int = 100) -> Sequence[Lapsed]:
        """Claims whose lease ran out: their jobs are pending again, or at their end."""

    async def expire_deadlines(self, *, make_id: MakeId, limit: int = 100) -> Sequence[Lapsed]:
        """Pending jobs whose deadline passed have failed; those that were cancelled while they were put back are cancelled."""

    async def waiting(self, *, limit: int) -> Sequence[tuple[str, str]]:
        """Tenant and id of pending jobs that are due, about in the order of claims."""

    async def settle_orphans(self) -> int:
        """Give back reservations of jobs that are over; how many there were."""

    async def forget_keys(self, *, older_ms: int) -> int:
        """Delete idempotency keys of that age; how many there were."""

    async def delete_ended(self, *, older_ms: int, limit: int = 200) -> int:
        """Delete jobs that ended that long ago, and everything kept of them; how many there were."""


class MakeId(Protocol):
    """Makes ids: sortable by time, unique by entropy."""

    def __call__(self, kind: str) -> str:
        """An id with that prefix."""
