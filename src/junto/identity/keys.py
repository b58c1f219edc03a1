"""API keys: what they look like, and what is kept of them. Makes no entropy by itself."""

from __future__ import annotations

import base64
import hashlib

import msgspec

from junto.core.secret import Secret
from junto.ports.identity import NewKey

PREFIX = "jt_"
ENTROPY_BYTES = 32
_LENGTH = len(PREFIX) + 43  # 32 bytes in base64url, without padding
_SHOWN = len(PREFIX) + 8  # of the 256 bits people see 48, to tell their keys apart


class IssuedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that was just made: its text, to be shown once, and what is stored of it."""

    text: Secret
    stored: NewKey


def issue_key(id: str, entropy: bytes) -> IssuedKey:
    """A key of 256 random bits."""
    if len(entropy) != ENTROPY_BYTES:
        raise ValueError(f"a key is made of {ENTROPY_BYTES} random bytes")
    text = PREFIX + base64.urlsafe_b64encode(entropy).rstrip(b"=").decode("ascii")
    return IssuedKey(text=Secret(text), stored=NewKey(id=id, prefix=text[:_SHOWN], digest=digest(text)))


def may_be_issued(key: str) -> bool:
    """Whether a text has the shape of an issued key, so that it is worth looking for."""
    return len(key) == _LENGTH and key.startswith(PREFIX)


def digest(key: str) -> bytes:
    """What is stored of a key and compared: its SHA-256 (keys are 256 random bits, so no salt or stretching is needed)."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
