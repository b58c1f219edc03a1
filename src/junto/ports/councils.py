"""Council templates as an administrator has stored them, beside those that come with Junto and those of files.

A document is JSON, and was a good template when it was saved: what it means is for council/template.py to say.
"""

from __future__ import annotations

from typing import Protocol

import msgspec


class StoredTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """A template as it lies in the database."""

    name: str
    document: bytes  # JSON
    author: str = ""
    created_ms: int = 0
    updated_ms: int = 0


class CouncilStore(Protocol):
    """Each method is one transaction. A change raises the counter that makes every node load its copy again."""

    async def all(self) -> list[StoredTemplate]:
        """Every stored template, by name."""

    async def find(self, name: str) -> StoredTemplate | None:
        """One stored template."""

    async def save(self, template: StoredTemplate) -> StoredTemplate:
        """Store a template, in place of the one of that name where there is one; the times are the database's."""

    async def delete(self, name: str) -> bool:
        """Delete a stored template; False where there is none."""
