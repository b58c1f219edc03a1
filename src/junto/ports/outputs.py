"""Rows of the audio files that speech jobs made: which there are, whose they are, and which file a name stands for.

Whatever goes wrong with the database is raised as core.errors.Overloaded, and leaves open whether it happened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from junto.ports.jobs import Claim


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """One file. `id` is the name that callers know; `number` is the chapter's from 1, 0 for a text in one piece.

    `fence` is that of the claim that made it: a worker that has lost its lease writes beside the file, not over it.
    """

    tenant_id: str
    id: str
    job_id: str
    client_id: str
    number: int
    fence: int
    voice: str
    content_type: str
    characters: int
    bytes: int
    audio_ms: int
    created_ms: int = 0  # by the database's clock

    @property
    def file(self) -> tuple[str, str]:
        """Its folder's name and its own, as it lies on the disk."""
        return self.job_id, f"{self.number:04d}.{self.fence}.{self.id.rpartition('.')[2]}"


class OutputStore(Protocol):
    """Each method is one transaction."""

    async def add(self, claim: Claim, output: Output) -> bool:
        """Write it down, and that one more of the job's parts is done; False, and nothing done, with a stale fence.

        Said twice, it is written down once.
        """

    async def of_job(self, tenant_id: str, job_id: str) -> Sequence[Output]:
        """Those of one job, by number."""

    async def find(self, name: str, tenant_id: str | None) -> Output | None:
        """The one of that name; of whatever tenant where that is None."""

    async def known(self, job_ids: Collection[str]) -> Collection[tuple[str, str]]:
        """The files (folder, name) of these jobs that have a row, whosever they are."""

    async def delete_old(self, *, older_ms: int, limit: int = 500) -> int:
        """Delete rows of that age; how many there were. Their files go as files without a row do."""
