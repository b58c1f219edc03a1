"""The admin key: from the environment, else made at the first start and kept as a digest only."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from junto.identity.authentication import digest

if TYPE_CHECKING:
    from pathlib import Path

_FILE = "admin-key.sha256"


def admin_digest(data_dir: Path, given: str | None) -> tuple[bytes, str | None]:
    """The digest to compare with, and the key itself if it was made just now: it is shown once and kept nowhere."""
    if given:
        return digest(given), None
    path = data_dir / _FILE
    try:
        return bytes.fromhex(path.read_text("ascii").strip()), None
    except FileNotFoundError:
        pass
    key = f"jt_{secrets.token_urlsafe(32)}"
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(digest(key).hex() + "\n")
    return digest(key), key
