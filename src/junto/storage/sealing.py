"""Stored bodies encrypted at rest: AES-256-GCM, a key for each body, bound to the row that it lies in.

    key of a body   HMAC-SHA256(JUNTO_SECRETS_KEY, "junto stored body v1" NUL place), where the place is tenant NUL row NUL which body
    content         nonce (12 bytes) + ciphertext + tag; the associated data is the place and the codec of what is inside
    codec           `<codec inside>+aesgcm:<name of the secret>`

A row that was moved, to another tenant say, cannot be read. What was stored before there was a secret is read as it lies.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final

from junto.storage.bodies import Packed

if TYPE_CHECKING:
    from collections.abc import Callable

    from junto.core.secret import Secret

_LABEL: Final = b"junto stored body v1"
_MARK: Final = "+aesgcm:"
_NONCE_BYTES: Final = 12


class Sealer:
    """Seals bodies under one secret. `entropy` gives random bytes."""

    def __init__(self, secret: Secret, *, entropy: Callable[[int], bytes]) -> None:
        # Here, because the library takes its time to load, and only those need it who have a secret.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        self._aead = AESGCM
        self._secret = secret.reveal().encode()
        self._entropy = entropy
        self._name = self._derived(b"name").hex()[:8]

    def seal(self, packed: Packed, *place: str) -> Packed:
        """The same content, to be read under the same secret at the same place only."""
        nonce, where = self._entropy(_NONCE_BYTES), _joined(place)
        sealed = self._aead(self._derived(where)).encrypt(nonce, packed.content, where + packed.codec.encode())
        return Packed(f"{packed.codec}{_MARK}{self._name}", nonce + sealed)

    def unseal(self, packed: Packed, *place: str) -> Packed:
        """What was sealed there; raises ValueError when it cannot be read, with a reason for people."""
        codec, _, name = packed.codec.partition(_MARK)
        if name != self._name:
            raise ValueError(
                f"the stored bodies were encrypted under another JUNTO_SECRETS_KEY (named {name}; the one in force is {self._name})"
            )
        nonce, sealed, where = packed.content[:_NONCE_BYTES], packed.content[_NONCE_BYTES:], _joined(place)
        try:
            content = self._aead(self._derived(where)).decrypt(nonce, sealed, where + codec.encode())
        except Exception as error:
            raise ValueError("the stored bodies are damaged, or were encrypted for another row") from error
        return Packed(codec, content)

    def _derived(self, what: bytes) -> bytes:
        return hmac.digest(self._secret, _LABEL + b"\0" + what, hashlib.sha256)


def unsealed(packed: Packed, sealer: Sealer | None, *place: str) -> Packed:
    """What lies there, sealed or not; raises ValueError when it is sealed and cannot be read."""
    if _MARK not in packed.codec:
        return packed
    if sealer is None:
        raise ValueError("the stored bodies are encrypted, and JUNTO_SECRETS_KEY is not set")
    return sealer.unseal(packed, *place)


def _joined(place: tuple[str, ...]) -> bytes:
    return b"".join(part.encode() + b"\0" for part in place)
