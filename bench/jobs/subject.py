"""Junto as the jobs' part of the benchmark starts it: one process that accepts jobs and runs them, on SQLite or on Postgres."""

import json
import sys
from pathlib import Path
from typing import Final

from bench import payload
from bench.mock import AT_ONCE, SLOW
from bench.subjects.client import PRICES, entering, new_admin_key
from bench.subjects.subject import Door, Launch

BUSY_SLOTS: Final = 2
"""Of the only local backend, where jobs are to wait."""


class JobsJunto:
    """`junto serve` with its worker in the same process. `url` is the database's, None for SQLite.

    `keyed`: every job comes from a client with a key, limits, a budget and prices. `busy`: its local hardware has all hands full.
    """

    slow = False

    def __init__(self, name: str, *, url: str | None = None, keyed: bool = False, busy: bool = False) -> None:
        self.name = name
        self._url = url
        self._keyed = keyed
        self._busy = busy
        self._program = Path(sys.executable).with_name("junto")

    def obtain(self) -> str:
        """Nothing is to be obtained that `bench.subjects.junto` has not."""
        return ""

    def launch(self, *, port: int, mock_port: int, folder: Path) -> Launch:
        """Write junto.yaml; jobs for the cloud run at once, those for local models wait in the queue."""
        base = f"http://127.0.0.1:{mock_port}"
        cloud = {"locality": "cloud"}
        backends = [
            _backend("mock", f"{base}/v1", payload.MODEL) | cloud,
            _backend("mock-cloud", f"{base}{AT_ONCE}/v1", payload.CLOUD_MODEL) | cloud,
        ]
        if self._busy:
            backends.append(_backend("mock-local", f"{base}{SLOW}/v1", payload.SLOW_MODEL) | {"slots": BUSY_SLOTS})
        else:
            backends.append(_backend("mock-local", f"{base}{AT_ONCE}/v1", payload.LOCAL_MODEL))
            backends.append(_backend("mock-slow", f"{base}{SLOW}/v1", payload.SLOW_MODEL))
        configuration: dict[str, object] = {
            "builtin_model": "off",
            "jobs": {"worker": "on"},
            "backends": backends,
        }
        if self._keyed:
            configuration["auth"] = {"mode": "keys"}
            (folder / "pricing.yaml").write_text(PRICES, encoding="utf-8")
        path = folder / "junto.yaml"
        # JSON is YAML, and needs no quoting rules.
        path.write_text(json.dumps(configuration), encoding="utf-8")
        argv = (str(self._program), "serve", "--config", str(path), "--port", str(port))
        key = new_admin_key()
        environment = {"JUNTO_ADMIN_KEY": key} | ({} if self._url is None else {"DATABASE_URL": self._url})
        headers = {"Authorization": f"Bearer {key}"} if self._keyed else {}
        return Launch(
            argv=(*argv, "--data-dir", str(folder / "data")),
            door=Door(port=port, headers=headers),
            env=environment,
            enter=entering(key) if self._keyed else None,
        )


def _backend(name: str, url: str, model: str) -> dict[str, object]:
    row = {"name": name, "provider": "openai", "url": url, "locality": "local", "models": [model], "api_key": "none"}
    return dict(row)
