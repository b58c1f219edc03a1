"""Looks at whether the stored bodies can be read under the secret that is set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from junto.cli.checkup.finding import ok, wrong
from junto.storage.sealing import name_of
from junto.storage.secret_name import FIX, objection

if TYPE_CHECKING:
    from junto.cli.checkup.finding import Finding
    from junto.core.secret import Secret


def check_secret(kept: str | None, secret: Secret | None) -> list[Finding]:
    """The secret is the one whose name the database keeps; nothing to say where neither has one."""
    name = None if secret is None else name_of(secret)
    if said := objection(kept, name):
        return [wrong("secrets key", said, FIX)]
    if name is None:
        return []
    if kept is None:
        return [ok("secrets key", "From the next start on, jobs and bodies are encrypted under it.")]
    return [ok("secrets key", f"It is the one that jobs and bodies are encrypted under (named {name}).")]
