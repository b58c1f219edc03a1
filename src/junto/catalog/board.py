"""The facts that change with traffic, kept by name so that they survive every rebuild of the catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from junto.routing.facts import BackendLive, Live

if TYPE_CHECKING:
    from collections.abc import Container


class LiveBoard:
    """Hands out one Live per deployment and one BackendLive per backend: the same objects to every snapshot."""

    def __init__(self) -> None:
        self._deployments: dict[str, Live] = {}
        self._backends: dict[str, BackendLive] = {}

    def deployment(self, key: str) -> Live:
        """The live facts of `backend/model`."""
        return self._deployments.setdefault(key, Live())

    def backend(self, name: str) -> BackendLive:
        """The live facts of a backend."""
        return self._backends.setdefault(name, BackendLive())

    def forget_except(self, keys: Container[str]) -> None:
        """Drop what is known of deployments that are gone and idle, so that renamed models cannot fill the memory."""
        gone = [key for key, live in self._deployments.items() if key not in keys and not live.in_flight]
        for key in gone:
            del self._deployments[key]
