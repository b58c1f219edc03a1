"""Gateways named by the environment: `JUNTO_BENCH_EXTRA="name=url,pid[,key]"`, several separated by `;`.

They run already, in front of the mock at the port given by `--mock-port`, and serve the model `mock-model`. The
benchmark pins their threads for its duration and never ends them.
"""

from pathlib import Path
from urllib.parse import urlsplit

import psutil

from bench.subjects.subject import CHAT_PATH, Attached, Door, Unavailable

VARIABLE = "JUNTO_BENCH_EXTRA"


class Extra:
    """A gateway that somebody else started."""

    slow = False

    def __init__(self, *, name: str, url: str, pid: int, key: str | None) -> None:
        parts = urlsplit(url)
        if parts.hostname not in {"127.0.0.1", "localhost"} or parts.port is None:
            raise ValueError(f"{VARIABLE}: {name} must be at http://127.0.0.1:PORT, not {url}")
        self.name = name
        self._port = parts.port
        self._path = parts.path.rstrip("/").removesuffix("/v1") + CHAT_PATH
        self._pid = pid
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    def obtain(self) -> str:
        """Check that its process is there."""
        if not psutil.pid_exists(self._pid):
            raise Unavailable(f"no process {self._pid}")
        return "as started"

    def launch(self, *, port: int, mock_port: int, folder: Path) -> Attached:
        """Return where it is."""
        del port, mock_port, folder
        door = Door(port=self._port, path=self._path, stream_path=self._path, headers=self._headers)
        return Attached(door=door, pid=self._pid)


def extras(text: str) -> list[Extra]:
    """Read the variable; raise ValueError with the form expected."""
    found = []
    for entry in filter(None, (part.strip() for part in text.split(";"))):
        name, _, rest = entry.partition("=")
        url, pid, key = ([*rest.split(","), "", ""])[:3]
        if not name or not url or not pid.isdigit():
            raise ValueError(f'{VARIABLE} is "name=url,pid[,key]", several separated by ";"; got {entry!r}')
        found.append(Extra(name=name, url=url, pid=int(pid), key=key or None))
    return found
