"""Names of pairs that give nothing away: not which answer is a shadow, nor what a look-up elsewhere would tell.

A name is the pair's key, sealed under a secret: a synthetic nonce (HMAC of the key) and the key hidden by a stream made from it. The same
pair has the same name each time, on every node that has the secret, so nothing has to be kept. Pure.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from junto.core.secret import Secret

_LABEL: Final = b"junto review pair v1"
_NONCE_BYTES: Final = 16
_LONGEST: Final = 600


class PairIds:
    """Seals and opens them."""

    def __init__(self, secret: Secret) -> None:
        root = hmac.digest(secret.reveal().encode(), _LABEL, hashlib.sha256)
        self._nonces, self._streams, self._sides = (
            hmac.digest(root, purpose, hashlib.sha256) for purpose in (b"nonce", b"stream", b"side")
        )

    def seal(self, tenant_id: str, shadow_id: str) -> str:
        """The name of the pair of that shadow."""
        key = f"{tenant_id}\0{shadow_id}".encode()
        nonce = hmac.digest(self._nonces, key, hashlib.sha256)[:_NONCE_BYTES]
        return base64.urlsafe_b64encode(nonce + self._hidden(key, nonce)).decode().rstrip("=")

    def open(self, pair_id: str) -> tuple[str, str] | None:
        """The tenant and the shadow of that name; None where it is none of ours."""
        if len(pair_id) > _LONGEST:
            return None
        try:
            sealed = base64.b64decode(pair_id + "=" * (-len(pair_id) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        nonce, hidden = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        key = self._hidden(hidden, nonce)
        if not hmac.compare_digest(nonce, hmac.digest(self._nonces, key, hashlib.sha256)[:_NONCE_BYTES]):
            return None
        tenant_id, _, shadow_id = key.decode().partition("\0")
        return tenant_id, shadow_id

    def shadow_is_left(self, tenant_id: str, shadow_id: str) -> bool:
        """On which side the shadow is shown: by a coin that is always the same for it, and cannot be read off the name."""
        return bool(hmac.digest(self._sides, f"{tenant_id}\0{shadow_id}".encode(), hashlib.sha256)[0] & 1)

    def _hidden(self, text: bytes, nonce: bytes) -> bytes:
        stream = hashlib.shake_256(self._streams + nonce).digest(len(text))
        return bytes(one ^ other for one, other in zip(text, stream, strict=True))
