"""All templates in force, in memory: a client's own goes before the shared one. Swapped whole whenever one changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from junto.ports.prompts import SHARED
from junto.prompts.template import Prompt, label_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from junto.ports.prompts import PromptStore


class PromptShelf:
    """Finds templates; empty until it is loaded for the first time."""

    def __init__(self) -> None:
        self._prompts: Mapping[tuple[str, str], Prompt] = {}

    def find(self, client_id: str, task_type: str) -> Prompt | None:
        """The template that a client's request for a task gets: its own, else the shared one."""
        prompts = self._prompts
        own = prompts.get((client_id, task_type)) if client_id else None
        return own or prompts.get((SHARED, task_type))

    async def load(self, store: PromptStore) -> None:
        """Read everything again and swap it in at once; what the store raises leaves the old ones in force."""
        self._prompts = {
            (one.client_id, one.task_type): Prompt(
                body=one.body, label=label_of(one.client_id, one.task_type, one.version), git_hash=one.git_hash
            )
            for one in await store.in_force()
        }
