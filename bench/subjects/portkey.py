"""Portkey's open-source gateway, from npm, without its console; its routing is in the headers of each request."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Final

from bench.subjects.subject import Door, Launch, Unavailable

_PACKAGE: Final = "@portkey-ai/gateway"
_VERSION: Final = "1.15.2"

# The one that Portkey's own lock file resolves; with 1.14.2 and newer, which npm would choose, every stream fails
# with 500 "immutable" (Portkey-AI/gateway issue 1389).
_SERVER: Final = "@hono/node-server"
_SERVER_VERSION: Final = "1.13.5"


class Portkey:
    """The `@portkey-ai/gateway` server, told by headers to call the mock as an OpenAI host."""

    name = "portkey"
    slow = False

    def __init__(self, *, cache: Path) -> None:
        self._prefix = cache / "portkey"
        self._modules = self._prefix / "node_modules"
        self._home = self._modules / _PACKAGE

    def obtain(self) -> str:
        """Install the pinned version on first use."""
        if shutil.which("node") is None:
            raise Unavailable("not installed, and it needs Node.js")
        if self._version(_PACKAGE) is None or self._version(_SERVER) != _SERVER_VERSION:
            self._install()
        version = self._version(_PACKAGE)
        if version is None:
            raise Unavailable("its installation is broken; remove .bench/portkey and run again")
        return version

    def launch(self, *, port: int, mock_port: int, folder: Path) -> Launch:
        """Start without the console."""
        del folder
        headers = {
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": f"http://127.0.0.1:{mock_port}/v1",
            "Authorization": "Bearer none",
        }
        return Launch(
            argv=("node", str(self._home / "build" / "start-server.js"), "--headless", f"--port={port}"),
            env={"NODE_ENV": "production"},
            door=Door(port=port, headers=headers),
        )

    def _version(self, package: str) -> str | None:
        description = self._modules / package / "package.json"
        if not description.exists():
            return None
        return str(json.loads(description.read_text(encoding="utf-8"))["version"])

    def _install(self) -> None:
        npm = shutil.which("npm")
        if npm is None:
            raise Unavailable("not installed, and it needs npm")
        # A nested copy that an earlier installation resolved would stay.
        shutil.rmtree(self._prefix, ignore_errors=True)
        self._prefix.mkdir(parents=True)
        wanted = {"private": True, "dependencies": {_PACKAGE: _VERSION}, "overrides": {_SERVER: _SERVER_VERSION}}
        (self._prefix / "package.json").write_text(json.dumps(wanted), encoding="utf-8")
        step = [npm, "install", "--silent", "--no-audit", "--no-fund", "--no-package-lock"]
        step += ["--prefix", str(self._prefix)]
        done = subprocess.run(step, capture_output=True, text=True, check=False, timeout=600)
        if done.returncode:
            raise Unavailable(f"installing failed: {done.stderr.strip()[-200:]}")
