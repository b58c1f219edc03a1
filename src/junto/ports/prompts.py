"""Prompt templates as they are stored, every save a version, of one client or shared by all (`client_id` "")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

SHARED = ""


class PromptVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One save of a template; `source` is where it came from (api, cli, file), `git_hash` of the file's blob, or ""."""

    client_id: str
    task_type: str
    version: int
    body: str
    source: str
    git_hash: str
    deleted: bool
    author: str
    created_ms: int


class NewPrompt(msgspec.Struct, frozen=True, kw_only=True):
    """A template to be saved."""

    client_id: str
    task_type: str
    body: str
    source: str
    git_hash: str = ""
    deleted: bool = False


class PromptStore(Protocol):
    """Each method is one transaction. A save raises the counter that makes every node load its copy again."""

    async def in_force(self) -> list[PromptVersion]:
        """The newest version of every template, without those that are deleted."""

    async def find(self, client_id: str, task_type: str, version: int | None = None) -> PromptVersion | None:
        """That version of a template, or the newest one, be it a deletion."""

    async def history(self, client_id: str, task_type: str, *, before: int | None, limit: int) -> list[PromptVersion]:
        """A page of a template's versions, newest first."""

    async def save(self, prompt: NewPrompt, *, author: str, expected: int | None) -> PromptVersion:
        """Add a version. Raises Conflict unless the newest version is `expected` (0: there is none)."""

    async def imported(self, files: Sequence[NewPrompt], *, author: str) -> list[PromptVersion]:
        """Add a version for each file that is not the one which its template was last imported from; gives those back."""
