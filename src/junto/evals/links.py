"""Score links: a person without a key scores one answer, once, before a time.

The token is random and shown once; only its digest is kept. A link says nothing of what it is for but the job's id.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import msgspec

from junto.core.errors import Conflict, Unauthenticated
from junto.evals.scoring import new_score, scorable
from junto.ports.scores import NewLink, Via
from junto.ports.subjects import SubjectKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from junto.evals.scoring import Given, MakeId, Scoring
    from junto.identity.principal import Principal
    from junto.ports.scores import Link, LinkStore, SavedScore
    from junto.ports.subjects import SubjectStore

DEFAULT_HOURS: Final = 168
MOST_HOURS: Final = 720
MOST_LINKS: Final = 20  # of one job: each is a vote, and votes count where routes change by themselves
_HOUR_MS: Final = 3_600_000


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """A link with its token, which nobody can show again."""

    token: str
    link: Link


class Links:
    """One for a process. `make_token` gives 256 random bits as text."""

    def __init__(
        self,
        links: LinkStore,
        scoring: Scoring,
        subjects: SubjectStore,
        *,
        make_id: MakeId,
        make_token: Callable[[], str],
    ) -> None:
        self._links = links
        self._scoring = scoring
        self._subjects = subjects
        self._make_id = make_id
        self._make_token = make_token

    async def issue(self, principal: Principal, job_id: str, *, hours: int = DEFAULT_HOURS) -> Issued:
        """A new link to one of the caller's jobs, which may still be at work. Raises NotFound, and Conflict where it has many."""
        facts = await self._scoring.get(principal, SubjectKind.JOB, job_id)
        token = self._make_token()
        new = NewLink(id=self._make_id("lnk"), subject=facts.subject, digest=digest_of(token), ttl_ms=hours * _HOUR_MS)
        link = await self._links.add(new, most=MOST_LINKS)
        if link is None:
            raise Conflict(f"This job has {MOST_LINKS} links already; more are made when the older ones are long over.")
        return Issued(token=token, link=link)

    async def redeem(self, job_id: str, token: str, given: Given) -> SavedScore:
        """Score by a link. Raises Unauthenticated for a token that is wrong or too old, Conflict for one that was used.

        A job that has no answer leaves the link as it was (Conflict).
        """
        link = await self._links.find(digest_of(token))
        if link is None or link.subject.id != job_id or link.subject.kind is not SubjectKind.JOB:
            raise _wrong()
        if link.is_used:
            raise _used()
        if link.is_expired:
            raise _wrong()
        facts = await self._subjects.find(link.subject, texts=False)
        if facts is None:
            raise _wrong()
        score = new_score(scorable(facts), given, id=self._make_id("scr"), via=Via.LINK, author=link.id)
        saved = await self._links.spend(link, score)
        if saved is None:  # it was used, or its time ran out, between the two looks at it
            now = await self._links.find(digest_of(token))
            raise _used() if now is not None and now.is_used else _wrong()
        return saved


def digest_of(token: str) -> str:
    """What is kept of a token: it has too many bits to be guessed from it."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def _wrong() -> Unauthenticated:
    error = Unauthenticated("This link is not valid, or not any more.")
    error.code = "invalid_link"
    return error


def _used() -> Conflict:
    return Conflict("This link was used already.")
