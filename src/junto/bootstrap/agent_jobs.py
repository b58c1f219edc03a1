"""Puts agents and jobs together: messages are answered by jobs, and what a process that is gone has left is taken up again."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from junto.agents.answering import DEADLINE_SECONDS, Answerer
from junto.agents.dispatch import Done, Grown
from junto.agents.handler import Handler
from junto.agents.payer import Payers
from junto.agents.recovery import SWEEP_SECONDS, YOUNG_SECONDS, Recovery
from junto.core.errors import NotFound, UnknownModel
from junto.jobs.submission import Submission

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from contextlib import AsyncExitStack

    from junto.agents.dispatch import Errand
    from junto.agents.handler import Deliver
    from junto.bootstrap.jobs import JobParts
    from junto.bootstrap.node import Node
    from junto.gateway.runtime import Current
    from junto.identity.principal import Principal
    from junto.jobs.following import Follower
    from junto.jobs.service import Jobs
    from junto.ports.agents import Channel
    from junto.settings.model import Settings

TASK_TYPE: Final = "agent"
_ATTEMPTS: Final = 3  # each of them tries every model there is, and a worker that dies takes one


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOptions:
    """What a test brings along: how long things take, in seconds."""

    deadline: float = DEADLINE_SECONDS
    sweep: float = SWEEP_SECONDS
    young: float = YOUNG_SECONDS


class JobDispatch:
    """Implements agents.dispatch.Dispatch with jobs of this process's own."""

    def __init__(self, jobs: Jobs, follower: Follower, current: Current) -> None:
        self._jobs = jobs
        self._follower = follower
        self._current = current

    async def submit(self, errand: Errand) -> str:
        asked = Submission(
            task_type=TASK_TYPE,
            messages=errand.messages,
            sensitivity=errand.sensitivity or None,
            model=errand.model,
            options={} if errand.max_tokens is None else {"max_tokens": errand.max_tokens},
            metadata=dict(errand.metadata),
            wait_s=0.0,  # not waited for, and still begun here and now where a cloud model answers
            deadline_s=errand.deadline_s,
            max_attempts=_ATTEMPTS,
            idempotency_key=errand.key,
            digest=errand.key,  # made again, its messages may have grown: the key alone says that it is the same
        )
        accepted = await self._jobs.submit(self._widened(errand), asked)
        return accepted.job.id

    async def follow(self, payer: Principal, job_id: str) -> AsyncGenerator[Grown | Done]:
        job = await self._jobs.get(payer, job_id)
        # Each message is followed once, so nobody's share of places is counted.
        async with aclosing(self._follower.follow(job, watcher=f"{TASK_TYPE}/{job_id}")) as happenings:
            async for name, data in happenings:
                if name == "text":
                    yield Grown(data["offset"], data["text"])
                elif name == "end":
                    yield _done(data)
                    return
        raise NotFound("The job is gone.")

    def _widened(self, errand: Errand) -> Principal:
        """The payer, whose list of models has what the agent's model leads to, if it has the agent."""
        payer = errand.payer
        if payer.allowed_models is None or not errand.opens:
            return payer
        try:
            stages = {stage.name for stage in self._current.runtime.snapshot.resolve(errand.model).stages}
        except UnknownModel:
            stages = set()
        return msgspec.structs.replace(payer, allowed_models=payer.allowed_models | stages | {errand.model})


def open_handler(  # noqa: PLR0917  what it is made of
    settings: Settings,
    node: Node,
    jobs: JobParts,
    stack: AsyncExitStack,
    deliver: Mapping[Channel, Deliver],
    options: AgentOptions | None = None,
) -> Handler:
    """The handler of messages and its recovery, at work until the stack is closed; opened after jobs, so that it stops before them."""
    options = options or AgentOptions()
    store, current = node.agents.conversations, node.operation.current
    answerer = Answerer(
        store,
        JobDispatch(jobs.jobs, jobs.follower, current),
        Payers(
            node.identity.keyring,
            guests_to_cloud=lambda: node.operation.settings.auth.open_client.allow_cloud_for_internal,
        ),
        context_of=lambda model: _context_of(current, model),
        deadline_s=options.deadline,
    )
    handler = Handler(store, node.agents.shelf, answerer, deliver=deliver)
    stack.push_async_callback(handler.stop)
    is_alone = settings.database_url is None
    recovery = Recovery(store, handler, is_alone=is_alone, every=options.sweep, young=options.young)
    recovery.start()
    stack.push_async_callback(recovery.stop)
    return handler


def _context_of(current: Current, model: str) -> int | None:
    """The least context of those that are meant to answer under that name; None where nobody says."""
    try:
        resolution = current.runtime.snapshot.resolve(model)
    except UnknownModel:  # a task's, which is decided when the job runs; or one that is not there now
        return None
    known = [each.context_length for each in resolution.stages[0].candidates if each.context_length]
    return min(known, default=None)


def _done(view: Mapping[str, Any]) -> Done:
    """The end of a job, from its public view."""
    text = view.get("response")
    if isinstance(text, str) and text:
        return Done(text=text)
    error = view.get("error") or {}
    return Done(error_code=str(error.get("code") or view.get("status") or ""))
