"""Who may have an audio file: whoever submitted its job, and the administrator. For all others it is not there.

A name is only ever looked up in the database, whole; no path is made of it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from junto.core.errors import JuntoError, NotFound
from junto.identity.principal import ApiScope

if TYPE_CHECKING:
    from pathlib import Path

    from junto.identity.principal import Principal
    from junto.ports.outputs import Output, OutputStore
    from junto.speech.files import OutputFiles

_SHOWN: Final = 64


class Elsewhere(JuntoError):
    """The file is known, and lies on another host."""

    status = 503
    type = "server_error"
    code = "output_elsewhere"


class Found(NamedTuple):
    """A file that the caller may have, and where it lies."""

    output: Output
    path: Path


class Library:
    """One for a process."""

    def __init__(self, outputs: OutputStore, files: OutputFiles) -> None:
        self._outputs = outputs
        self._files = files

    async def find(self, principal: Principal, name: str) -> Found:
        """The file of that name; raises NotFound, the same for another's and for none, and Elsewhere."""
        reaches = principal.is_admin or (bool(principal.client_id) and ApiScope.SERVICE in principal.scopes)
        may_be = name.isascii() and name.isprintable()  # not all databases can be asked for any text
        output = await self._outputs.find(name, None if reaches else principal.tenant) if may_be else None
        if output is None or not (principal.is_admin or output.client_id == principal.client_id):
            raise NotFound(f"There is no file {name[:_SHOWN]!r}.")
        path = self._files.path(output)
        if not await asyncio.to_thread(path.is_file):
            raise Elsewhere(
                "The file was made on another host, or taken away: all hosts need one output folder (speech.output_dir)."
            )
        return Found(output, path)
