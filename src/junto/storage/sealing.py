"""Stored bodies encrypted at rest: AES-256-GCM, a key for each body, bound to the row that it lies in.

    key of a body   HMAC-SHA256(JUNTO_SECRETS_KEY, "junto stored body v1" NUL place), where the place is tenant NUL row NUL which body
    content         nonce (12 bytes) + ciphertext + tag; the associated data is the place and the codec of what is inside
    codec           `<codec inside>+aesgcm:<name of the secret>`

A short text (a job's metadata, the address of a webhook) lies in its own column, as `text+aesgcm:<name of the secret>:<content in base64>`.
A row that was moved, to another tenant say, cannot be read. What was stored before there was a secret is read as it lies.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import TYPE_CHECKING, Final

from junto.storage.bodies import Packed

if TYPE_CHECKING:
    from collections.abc import Callable

    from junto.core.secret import Secret

_LABEL: Final = b"junto stored body v1"
MARK: Final = "+aesgcm:"
_TEXT: Final = f"text{MARK}"
_NONCE_BYTES: Final = 12


class Sealer:
    """Seals bodies under one secret, whose name `name` is. `entropy` gives random bytes."""

    def __init__(self, secret: Secret, *, entropy: Callable[[int], bytes]) -> None:
        # Here, because the library takes its time to load, and only those need it who have a secret.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        self._aead = AESGCM
        self._secret = secret.reveal().encode()
        self._entropy = entropy
        self.name = name_of(secret)

    def seal(self, packed: Packed, *place: str) -> Packed:
        """The same content, to be read under the same secret at the same place only."""
        nonce, where = self._entropy(_NONCE_BYTES), _joined(place)
        sealed = self._aead(self._derived(where)).encrypt(nonce, packed.content, where + packed.codec.encode())
        return Packed(f"{packed.codec}{MARK}{self.name}", nonce + sealed)

    def unseal(self, packed: Packed, *place: str) -> Packed:
        """What was sealed there; raises ValueError when it cannot be read, with a reason for people."""
        codec, _, name = packed.codec.partition(MARK)
        if name != self.name:
            raise ValueError(
                f"the stored bodies were encrypted under another JUNTO_SECRETS_KEY (named {name}; the one in force is {self.name})"
            )
        nonce, sealed, where = packed.content[:_NONCE_BYTES], packed.content[_NONCE_BYTES:], _joined(place)
        try:
            content = self._aead(self._derived(where)).decrypt(nonce, sealed, where + codec.encode())
        except Exception as error:
            raise ValueError("the stored bodies are damaged, or were encrypted for another row") from error
        return Packed(codec, content)

    def _derived(self, what: bytes) -> bytes:
        return _derived(self._secret, what)


def name_of(secret: Secret) -> str:
    """What bodies that are sealed under the secret are marked with; nothing can be read by it."""
    return _derived(secret.reveal().encode(), b"name").hex()[:8]


def opens(codec: str, sealer: Sealer | None) -> bool:
    """Whether a body of that codec can be read here as far as its secret goes."""
    _, sealed, name = codec.partition(MARK)
    return not sealed or (sealer is not None and name == sealer.name)


def unsealed(packed: Packed, sealer: Sealer | None, *place: str) -> Packed:
    """What lies there, sealed or not; raises ValueError when it is sealed and cannot be read."""
    if MARK not in packed.codec:
        return packed
    if sealer is None:
        raise ValueError("the stored bodies are encrypted, and JUNTO_SECRETS_KEY is not set")
    return sealer.unseal(packed, *place)


def seal_text(text: str, sealer: Sealer | None, *place: str) -> str:
    """The text as it is stored: sealed where there is a sealer and a text. It must not begin as a sealed one does."""
    if sealer is None or not text:
        return text
    sealed = sealer.seal(Packed("text", text.encode()), *place)
    return f"{sealed.codec}:{base64.b64encode(sealed.content).decode()}"


def unseal_text(stored: str, sealer: Sealer | None, *place: str) -> str:
    """The text as it was; raises ValueError when it is sealed and cannot be read."""
    if not stored.startswith(_TEXT):
        return stored
    codec, _, content = stored.rpartition(":")
    try:
        packed = Packed(codec, base64.b64decode(content, validate=True))
    except binascii.Error as error:
        raise ValueError("the stored text is damaged") from error
    return unsealed(packed, sealer, *place).content.decode()


def _derived(secret: bytes, what: bytes) -> bytes:
    return hmac.digest(secret, _LABEL + b"\0" + what, hashlib.sha256)


def _joined(place: tuple[str, ...]) -> bytes:
    return b"".join(part.encode() + b"\0" for part in place)
