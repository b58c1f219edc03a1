"""Who a credential belongs to. One function for every header form; keys are compared by digest, never kept.

In this version the only key is the admin key; tenants and clients will fill the same seam.
"""

from __future__ import annotations

import hashlib
import hmac
from enum import StrEnum

from junto.core.errors import Forbidden, Unauthenticated
from junto.identity.principal import Principal


class AuthMode(StrEnum):
    """Whether inference needs a key."""

    OPEN = "open"
    KEYS = "keys"


def digest(key: str) -> bytes:
    """What is stored of a key and compared: its SHA-256 (keys are 256 random bits, so no salt or stretching is needed)."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def bearer(authorization: bytes | None, x_api_key: bytes | None) -> str | None:
    """The key that a request carries in either header form; None when it carries none."""
    if x_api_key:
        return x_api_key.decode("latin-1").strip() or None
    if authorization and authorization[:7].lower() == b"bearer ":
        return authorization[7:].decode("latin-1").strip() or None
    return None


class Authenticator:
    """Finds the principal of a request."""

    def __init__(self, *, mode: AuthMode, admin_digest: bytes, open_client: Principal) -> None:
        self._mode = mode
        self._admin_digest = admin_digest
        self._open_client = open_client
        self._admin = Principal(
            client="admin", is_admin=True, allow_cloud_for_internal=open_client.allow_cloud_for_internal
        )

    def for_inference(self, authorization: bytes | None, x_api_key: bytes | None) -> Principal:
        """The caller of a model. Open mode: whoever asks (SDKs always send some key); keys mode: only a known key."""
        if self._mode is AuthMode.OPEN:
            return self._open_client
        key = bearer(authorization, x_api_key)
        if key is None:
            raise Unauthenticated("An API key is needed: send Authorization: Bearer <key> or x-api-key: <key>.")
        if not self._is_admin(key):
            raise Unauthenticated("This API key is not known.")
        return self._admin

    def for_admin(self, authorization: bytes | None, x_api_key: bytes | None) -> Principal:
        """The administrator; raises Unauthenticated without a key, Forbidden with a wrong one."""
        key = bearer(authorization, x_api_key)
        if key is None:
            raise Unauthenticated("The admin key is needed: send Authorization: Bearer $JUNTO_ADMIN_KEY.")
        if not self._is_admin(key):
            raise Forbidden("This key is not the admin key.")
        return self._admin

    def _is_admin(self, key: str) -> bool:
        """Whether the key is the admin key, compared in constant time."""
        return hmac.compare_digest(digest(key), self._admin_digest)
