"""Assembles who may call: the directory of clients, the copy of all keys, and the authenticators that read it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from junto.core.ids import record_id
from junto.identity.authentication import Authenticator
from junto.identity.directory import Directory
from junto.identity.keyring import Keyring
from junto.identity.keys import ENTROPY_BYTES
from junto.storage.repositories.identity import KEYS_VERSION, StoredIdentity

if TYPE_CHECKING:
    from junto.bootstrap.replicas import Replicas
    from junto.identity.authentication import AuthMode
    from junto.identity.principal import Principal
    from junto.ports.clock import Clock
    from junto.storage.sessions import Sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What the rest of Junto uses of it."""

    directory: Directory
    keyring: Keyring
    replicas: Replicas
    clock: Clock
    admin_digest: bytes

    def authenticator(self, mode: AuthMode, open_client: Principal) -> Authenticator:
        """The authenticator for the settings in force; all of them read one keyring."""
        return Authenticator(
            mode=mode,
            admin_digest=self.admin_digest,
            open_client=open_client,
            keyring=self.keyring,
            clock=self.clock,
            refresh=partial(self.replicas.refreshed, KEYS_VERSION),
        )


async def open_identity(sessions: Sessions, replicas: Replicas, clock: Clock, *, admin_digest: bytes) -> Identity:
    """Make sure of the default tenant, and have the keys kept fresh from when `replicas` is started."""
    store = StoredIdentity(sessions)
    keyring = Keyring()
    replicas.register(KEYS_VERSION, partial(keyring.load, store))
    directory = Directory(
        store,
        make_id=lambda kind: record_id(kind, clock.wall_ms(), secrets.randbits(52)),
        entropy=partial(secrets.token_bytes, ENTROPY_BYTES),
        announce=partial(replicas.changed, KEYS_VERSION),
    )
    await directory.ensure_default_tenant()
    return Identity(directory=directory, keyring=keyring, replicas=replicas, clock=clock, admin_digest=admin_digest)
