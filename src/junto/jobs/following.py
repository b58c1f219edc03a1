"""Following one job: its status as it changes, its text as it grows, and its end, from wherever it runs.

The database says what is true, every two seconds; news make it quick. Text of an attempt that is begun anew starts at 0 again.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from junto.core.errors import RateLimited
from junto.jobs.news import Told
from junto.jobs.views import shown, steps_of
from junto.ports.jobs import Status

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator

    from junto.jobs.news import Listener, News
    from junto.ports.clock import Clock
    from junto.ports.jobs import Job, JobStore

_LOOK_SECONDS: Final = 2.0
MOST_FOLLOWED: Final = 64

type Happening = tuple[str, dict[str, Any]]


class Follower:
    """Follows jobs for those who watch them; `most` at once for one client in this process: each looks at the database."""

    def __init__(
        self, store: JobStore, news: News, clock: Clock, *, look: float = _LOOK_SECONDS, most: int = MOST_FOLLOWED
    ) -> None:
        self._store = store
        self._news = news
        self._clock = clock
        self._look = look
        self._most = most
        self._watching: Counter[str] = Counter()

    async def follow(self, job: Job, *, watcher: str) -> AsyncGenerator[Happening]:
        """What happens to the job: `status`, `progress`, `text`, and `end` as the last; `beat` when nothing did.

        Raises RateLimited, before anything else, for a watcher (a client) that follows as many as it may.
        """
        with self._place_for(watcher):
            async for happening in self._follow(job):
                yield happening

    @contextmanager
    def _place_for(self, watcher: str) -> Iterator[None]:
        if self._watching[watcher] >= self._most:
            raise RateLimited(
                f"This client follows {self._most} jobs at once already, which is the most: read one to its end, or poll.",
                retry_after=_LOOK_SECONDS,
            )
        self._watching[watcher] += 1
        try:
            yield
        finally:
            self._watching[watcher] -= 1
            if not self._watching[watcher]:
                del self._watching[watcher]

    async def _follow(self, job: Job) -> AsyncIterator[Happening]:
        text = _Text()
        last: tuple[Status, int] | None = None
        tokens = steps = 0
        with self._news.listening(job.id) as listener:
            while True:
                found = await self._store.find(job.tenant_id, job.id)
                if found is None:
                    return
                if found.status.is_end:
                    yield "end", shown(found)
                    return
                if (found.status, found.attempts) != last:
                    last, steps = (found.status, found.attempts), found.steps_done
                    yield "status", shown(found)
                elif found.steps_done != steps:
                    steps = found.steps_done
                    yield "progress", {"job_id": job.id, "progress": steps_of(found)}
                elif found.tokens_so_far != tokens and not found.kind.value:
                    tokens = found.tokens_so_far
                    yield "progress", {"job_id": job.id, "tokens_so_far": tokens}
                else:
                    yield "beat", {}
                async for happening in self._listen(found, text, listener):
                    yield happening

    async def _listen(self, job: Job, text: _Text, listener: Listener) -> AsyncIterator[Happening]:
        """The text that comes until it is time to look again."""
        if job.status is Status.RUNNING:
            await self._news.watch(Told(job_id=job.id, fence=text.fence, offset=text.size))
        look_at = self._clock.monotonic() + self._look
        while (now := self._clock.monotonic()) < look_at:
            told = await listener.next(look_at - now)
            if told is None:
                return
            if told.stepped:
                return
            if told.status:
                if told.status != job.status.value:
                    return
            elif (happening := text.grown(told)) is not None:
                yield happening
            elif told.offset > text.size:  # something between was lost
                await self._news.watch(Told(job_id=job.id, fence=text.fence, offset=text.size))


class _Text:
    """How much of which attempt's text was passed on."""

    def __init__(self) -> None:
        self.fence = 0
        self.size = 0

    def grown(self, told: Told) -> Happening | None:
        """The new part of a message; None when it has none, or comes after a gap."""
        if told.fence < self.fence:
            return None
        if told.fence > self.fence:
            self.fence, self.size = told.fence, 0
        if told.offset > self.size:
            return None
        new = told.text[self.size - told.offset :]
        if not new:
            return None
        start, self.size = self.size, self.size + len(new)
        return "text", {"job_id": told.job_id, "offset": start, "text": new}
