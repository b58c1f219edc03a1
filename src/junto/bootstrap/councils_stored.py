"""Assembles stored council templates: given to the book in force whenever one changes on any node, and administered."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from junto.council.library import CouncilLibrary
from junto.council.stored import load_stored
from junto.storage.repositories.councils import COUNCILS_VERSION, StoredCouncils

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from junto.bootstrap.replicas import Replicas
    from junto.council.book import TemplateBook
    from junto.council.model import Template
    from junto.storage.sessions import Sessions


def open_stored_councils(
    sessions: Sessions,
    replicas: Replicas,
    *,
    book: Callable[[], TemplateBook],
    receive: Callable[[Sequence[Template]], None],
) -> CouncilLibrary:
    """Have `receive` given all stored templates from when `replicas` is started, and again with each change."""
    store = StoredCouncils(sessions)
    replicas.register(COUNCILS_VERSION, partial(load_stored, store, receive))
    return CouncilLibrary(store, book=book, announce=partial(replicas.changed, COUNCILS_VERSION))
