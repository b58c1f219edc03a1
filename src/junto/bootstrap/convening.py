"""Assembles councils: the book of templates in force, and the provider that answers for them.

The book is made of what comes with Junto, the operator's folder and what is stored; it changes with a reload and when what is stored
changes on any node. A folder with a mistake in it stops a start, and a reload.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from junto.bootstrap.councils import builtin_templates, templates_of
from junto.council.book import TemplateBook
from junto.council.provider import CouncilProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from junto.council.model import Template
    from junto.ports.clock import Clock
    from junto.ports.observer import CouncilObserver
    from junto.settings.model import Settings


class Councils:
    """The book in force. `changed` is called after it has become another one."""

    def __init__(self, settings: Settings, *, clock: Clock, observer: Callable[[], CouncilObserver]) -> None:
        self._builtin = builtin_templates()
        self._files = self._read = templates_of(settings.councils_dir)
        self._stored: tuple[Template, ...] = ()
        self._changed: Callable[[], None] = lambda: None
        self.book = self._make()
        self.provider = CouncilProvider(lambda: self.book, clock=clock, observer=observer)

    def on_change(self, changed: Callable[[], None]) -> None:
        """Have this called whenever the book has changed."""
        self._changed = changed

    def read(self, settings: Settings) -> Settings:
        """Read the folder that these settings name, for `follow`; raises ConfigErrors with every mistake in it."""
        self._read = templates_of(settings.councils_dir)
        return settings

    async def follow(self, settings: Settings) -> list[str]:  # noqa: ARG002  what `read` found is what is meant
        """Put in force what was read last."""
        if self._files != self._read:
            self._files = self._read
            self._renew()
        return []

    def take_stored(self, templates: Sequence[Template]) -> None:
        """Put the stored templates in force that there are now."""
        if self._stored != tuple(templates):
            self._stored = tuple(templates)
            self._renew()

    def _renew(self) -> None:
        self.book = self._make()
        self._changed()

    def _make(self) -> TemplateBook:
        return TemplateBook.of(self._builtin, self._files, self._stored)
