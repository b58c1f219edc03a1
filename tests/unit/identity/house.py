"""A directory, its keyring and authenticators, on a store in memory."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from junto.identity.authentication import Authenticator, AuthMode
from junto.identity.directory import Directory
from junto.identity.keyring import Keyring
from junto.identity.keys import digest
from junto.identity.principal import Principal
from junto.ports.identity import ClientChanges
from tests.unit.identity.store import Clock, MemoryIdentity

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ADMIN_KEY = "jt_the-right-key-0123456789"
ANYONE = Principal(allow_cloud_for_internal=False)


class House:
    """Everything of identity on one node. What is changed through `elsewhere` was changed on another one."""

    def __init__(self) -> None:
        self.admin_key = ADMIN_KEY
        self.clock = Clock()
        self.store = MemoryIdentity(self.clock)
        self.keyring = Keyring()
        self.reachable = True
        self.announced = 0
        self._entropy = (number.to_bytes(32, "big") for number in itertools.count(1))
        self._ids = itertools.count(1)
        self.directory = self._directory(self._announce)
        self.elsewhere = self._directory(self._nobody_told)

    async def furnish(self) -> None:
        await self.directory.ensure_default_tenant()
        await self.keyring.load(self.store)

    async def key(self, changes: ClientChanges, tenant: str = "default") -> str:
        """A new client's key."""
        return (await self.directory.create_client(tenant, changes)).key.reveal()

    def authenticator(self, mode: AuthMode = AuthMode.KEYS) -> Authenticator:
        return Authenticator(
            mode=mode,
            admin_digest=digest(self.admin_key),
            open_client=ANYONE,
            keyring=self.keyring,
            clock=self.clock,
            refresh=self._refresh,
        )

    def who(self, key: str, mode: AuthMode = AuthMode.KEYS) -> Principal:
        """Whom a key belongs to, by both header forms alike."""
        authenticator = self.authenticator(mode)
        principal = authenticator.for_inference(b"Bearer " + key.encode(), None)
        assert authenticator.for_inference(None, key.encode()) is principal
        return principal

    def _directory(self, announce: Callable[[], Awaitable[None]]) -> Directory:
        return Directory(
            self.store,
            make_id=lambda kind: f"{kind}_{next(self._ids):04d}",
            entropy=lambda: next(self._entropy),
            announce=announce,
        )

    async def _announce(self) -> None:
        self.announced += 1
        await self.keyring.load(self.store)

    async def _nobody_told(self) -> None:
        return

    async def _refresh(self) -> bool:
        if self.reachable:
            await self.keyring.load(self.store)
        return self.reachable
