"""Assembles prompt templates: the shelf of all nodes, their administration, and the import from files."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import structlog

from junto.bootstrap.prompt_files import read_prompt_folder
from junto.core.errors import JuntoError
from junto.ports.identity import ClientQuery
from junto.ports.prompts import SHARED, NewPrompt
from junto.prompts.library import PromptLibrary
from junto.prompts.shelf import PromptShelf
from junto.storage.repositories.prompts import FILE, PROMPTS_VERSION, StoredPrompts

if TYPE_CHECKING:
    from pathlib import Path

    from junto.bootstrap.prompt_files import PromptFile
    from junto.bootstrap.replicas import Replicas
    from junto.identity.directory import Directory
    from junto.settings.model import Settings
    from junto.storage.sessions import Sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompts:
    """What the rest of Junto uses of it. `shelf` finds the templates in force."""

    shelf: PromptShelf
    library: PromptLibrary
    directory: Directory

    async def follow(self, settings: Settings) -> list[str]:
        """Import what has changed in the folder; sentences about what was passed over. Never raises a JuntoError."""
        try:
            warnings = await self.take_in(settings.prompts_dir)
        except JuntoError as error:
            warnings = [f"The prompt files were not imported: {error.message}"]
        for warning in warnings:
            structlog.get_logger().warning("prompts", message=warning)
        return warnings

    async def take_in(self, folder: Path) -> list[str]:
        """Import what has changed in a folder; sentences about what was passed over."""
        found = await asyncio.to_thread(read_prompt_folder, folder)
        warnings = list(found.warnings)
        owners = {SHARED: SHARED}
        for name in sorted({file.client for file in found.files} - {SHARED}):
            ids = await self._ids(name)
            if len(ids) == 1:
                owners[name] = ids[0]
            else:
                why = (
                    f"several clients are called {name}, name the folder by an id" if ids else "there is no such client"
                )
                warnings.append(f"The prompts of the client {name} are passed over: {why}.")
        await self.library.take_in([_new(file, owners[file.client]) for file in found.files if file.client in owners])
        return warnings

    async def _ids(self, client: str) -> list[str]:
        """The ids of the clients of that name, or the one that has it as its id."""
        named = await self.directory.clients(ClientQuery(name=client, limit=2))
        if named:
            return [one.id for one in named]
        try:
            return [(await self.directory.get_client(client)).id]
        except JuntoError:
            return []


async def open_prompts(sessions: Sessions, replicas: Replicas, directory: Directory, settings: Settings) -> Prompts:
    """Import the files, and have the templates kept fresh from when `replicas` is started."""
    store = StoredPrompts(sessions)
    shelf = PromptShelf()
    replicas.register(PROMPTS_VERSION, partial(shelf.load, store))
    library = PromptLibrary(store, announce=partial(replicas.changed, PROMPTS_VERSION))
    prompts = Prompts(shelf=shelf, library=library, directory=directory)
    await prompts.follow(settings)
    return prompts


def _new(file: PromptFile, client_id: str) -> NewPrompt:
    return NewPrompt(client_id=client_id, task_type=file.task_type, body=file.body, source=FILE, git_hash=file.git_hash)
