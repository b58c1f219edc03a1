"""Authenticated encryption for tests where the package `cryptography` is not installed. Protects nothing."""

from __future__ import annotations

import hashlib
import hmac


class Toy:
    """An AEAD for tests only: a keystream by hashing, and a tag. The real one is `cryptography`'s, where that is installed."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        sealed = self._mixed(nonce, data)
        return sealed + self._tag(nonce, sealed, associated_data)

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        sealed, tag = data[:-32], data[-32:]
        if not hmac.compare_digest(tag, self._tag(nonce, sealed, associated_data)):
            raise ValueError("the tag is wrong")
        return self._mixed(nonce, sealed)

    def _mixed(self, nonce: bytes, data: bytes) -> bytes:
        stream = hashlib.shake_256(self._key + nonce).digest(len(data))
        return bytes(a ^ b for a, b in zip(data, stream, strict=True))

    def _tag(self, nonce: bytes, sealed: bytes, associated_data: bytes) -> bytes:
        return hmac.digest(self._key, nonce + associated_data + b"\0" + sealed, hashlib.sha256)
