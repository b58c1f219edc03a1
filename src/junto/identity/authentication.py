"""Who a credential belongs to. One function for every header form; keys are compared by digest, never kept."""

from __future__ import annotations

import hmac
from enum import StrEnum
from typing import TYPE_CHECKING

from junto.core.errors import Forbidden, Overloaded, Unauthenticated
from junto.identity.keys import PREFIX, digest, may_be_issued
from junto.identity.permission import acting_for, require
from junto.identity.principal import ApiScope, Principal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from junto.identity.keyring import Keyring, KnownKey
    from junto.ports.clock import Clock

_AWAY_RETRY_AFTER = 2.0  # seconds
_NEEDED = "An API key is needed: send Authorization: Bearer <key> or x-api-key: <key>."
_UNKNOWN = "This API key is not known."


class AuthMode(StrEnum):
    """Whether inference needs a key."""

    OPEN = "open"
    KEYS = "keys"


class UnknownKey(Unauthenticated):
    """A key that this node does not know, and that another may just have made: look once more after `refreshed`."""


def bearer(authorization: bytes | None, x_api_key: bytes | None) -> str | None:
    """The key that a request carries in either header form; None when it carries none."""
    if x_api_key:
        return x_api_key.decode("latin-1").strip() or None
    if authorization and authorization[:7].lower() == b"bearer ":
        return authorization[7:].decode("latin-1").strip() or None
    return None


class Authenticator:
    """Finds the principal of a request. Known keys cost one SHA-256 and one look-up in memory.

    `refresh` makes sure that the keyring is of this moment, and says whether it is.
    """

    def __init__(
        self,
        *,
        mode: AuthMode,
        admin_digest: bytes,
        open_client: Principal,
        keyring: Keyring,
        clock: Clock,
        refresh: Callable[[], Awaitable[bool]],
    ) -> None:
        self._mode = mode
        self._admin_digest = admin_digest
        self._open_client = open_client
        self._keyring = keyring
        self._clock = clock
        self._refresh = refresh
        self._admin = Principal(
            client="admin", is_admin=True, allow_cloud_for_internal=open_client.allow_cloud_for_internal
        )

    @property
    def open_client(self) -> Principal:
        """Who asks without a key where that is allowed."""
        return self._open_client

    def for_inference(self, authorization: bytes | None, x_api_key: bytes | None) -> Principal:
        """The caller of a model: a client by its key, or the administrator.

        In open mode also whoever sends no key, or one that is not Junto's (SDKs always send some key), and the administrator
        is nobody special there. Raises Unauthenticated, UnknownKey, and Forbidden for a client or tenant that is disabled.
        """
        key = bearer(authorization, x_api_key)
        is_open = self._mode is AuthMode.OPEN
        if key is None:
            if is_open:
                return self._open_client
            raise Unauthenticated(_NEEDED)
        if key.startswith(PREFIX):
            hashed = digest(key)
            known = self._keyring.find(hashed)
            if known is not None:
                return self._usable(known)
            if not hmac.compare_digest(hashed, self._admin_digest):
                raise UnknownKey(_UNKNOWN) if may_be_issued(key) else Unauthenticated(_UNKNOWN)
        elif not is_open and not self._is_admin(key):
            raise Unauthenticated(_UNKNOWN)
        return self._open_client if is_open else self._admin

    def for_admin(self, authorization: bytes | None, x_api_key: bytes | None) -> Principal:
        """The administrator; raises Unauthenticated without a key, Forbidden with a wrong one."""
        key = bearer(authorization, x_api_key)
        if key is None:
            raise Unauthenticated("The admin key is needed: send Authorization: Bearer $JUNTO_ADMIN_KEY.")
        if not self._is_admin(key):
            raise Forbidden("This key is not the admin key.")
        return self._admin

    async def caller(self, authorization: bytes | None, x_api_key: bytes | None, scope: ApiScope) -> Principal:
        """As `for_inference`, with a second look for a new key, and the scope that the key must have (Forbidden)."""
        principal = await self._somebody(authorization, x_api_key)
        require(principal, scope)
        return principal

    async def known(self, authorization: bytes | None, x_api_key: bytes | None) -> None:
        """Raises as `caller` does for whoever may do nothing here; whatever else their key is good for is asked later."""
        key = bearer(authorization, x_api_key)
        if key is None or not self._is_admin(key):
            await self._somebody(authorization, x_api_key)

    async def _somebody(self, authorization: bytes | None, x_api_key: bytes | None) -> Principal:
        try:
            return self.for_inference(authorization, x_api_key)
        except UnknownKey:
            await self.refreshed()
            return self.for_inference(authorization, x_api_key)

    async def account(self, authorization: bytes | None, x_api_key: bytes | None, scope: ApiScope) -> Principal:
        """The administrator where the admin key is sent, in open mode too; else as `caller`."""
        key = bearer(authorization, x_api_key)
        if key is not None and self._is_admin(key):
            return self._admin
        return await self.caller(authorization, x_api_key, scope)

    def acting_for(self, principal: Principal, tenant_id: str | None) -> Principal:
        """The principal to go on with when a body names a tenant; raises Forbidden."""
        return acting_for(principal, tenant_id, self._keyring)

    async def refreshed(self) -> None:
        """After an UnknownKey: come back when the keyring is of this moment; raises Overloaded when that cannot be had."""
        if not await self._refresh():
            raise Overloaded("API keys cannot be looked up right now.", retry_after=_AWAY_RETRY_AFTER)

    def _usable(self, known: KnownKey) -> Principal:
        if known.expires_ms is not None and self._clock.wall_ms() >= known.expires_ms:
            raise Unauthenticated("This API key has expired.")
        if known.refusal:
            raise Forbidden(known.refusal)
        return known.principal

    def _is_admin(self, key: str) -> bool:
        """Whether the key is the admin key, compared in constant time."""
        return hmac.compare_digest(digest(key), self._admin_digest)
