"""The admin key: from the environment, else made at the first start and kept as a digest only."""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from junto.core.document import ConfigError, ConfigErrors
from junto.identity.keys import digest

if TYPE_CHECKING:
    from pathlib import Path

_FILE = "admin-key.sha256"
_DIGEST = re.compile(rb"[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminKey:
    """The digest to compare with; `new` is the key itself if it was made just now. It is kept nowhere."""

    digest: bytes
    new: str | None = None

    def keep(self, data_dir: Path) -> None:
        """A new key has been shown: from now on it is the key. One that nobody saw is not kept, and made anew next time."""
        if self.new is None:
            return
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(data_dir / _FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(self.digest.hex() + "\n")


def admin_key(data_dir: Path, given: str | None) -> AdminKey:
    """The key that is given, else the one kept in the data directory, else a new one; raises ConfigErrors for a damaged file."""
    if given:
        return AdminKey(digest=digest(given))
    try:
        kept = (data_dir / _FILE).read_bytes()
    except FileNotFoundError:
        key = f"jt_{secrets.token_urlsafe(32)}"
        return AdminKey(digest=digest(key), new=key)
    return AdminKey(digest=_read(kept, data_dir / _FILE))


def _read(kept: bytes, file: Path) -> bytes:
    if not _DIGEST.fullmatch(kept.strip()):
        message = (
            "is not the digest of an admin key. Remove it, and the next start makes a new key; or set JUNTO_ADMIN_KEY"
        )
        raise ConfigErrors([ConfigError(str(file), None, message)])
    return bytes.fromhex(kept.decode("ascii"))
