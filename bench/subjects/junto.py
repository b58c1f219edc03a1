"""Junto itself, as a user starts it: default settings, everything on, and its data in a new folder."""

import importlib.metadata
import json
import sys
from pathlib import Path

from bench import payload
from bench.subjects.client import PRICES, entering, new_admin_key
from bench.subjects.subject import Door, Launch, Unavailable


class Junto:
    """`junto serve` with the mock as its only backend.

    `translating` adds one backend for each other dialect; `keyed` asks every caller for a key, and has limits, a budget and
    prices behind it.
    """

    slow = False

    def __init__(self, *, translating: bool = False, keyed: bool = False) -> None:
        self._translating = translating
        self._keyed = keyed
        self._program = Path(sys.executable).with_name("junto")
        self.name = "junto-translating" if translating else "junto-keyed" if keyed else "junto"

    def obtain(self) -> str:
        """Find the command beside the running Python."""
        if not self._program.exists():
            raise Unavailable("not installed (`make install`)")
        return importlib.metadata.version("junto")

    def launch(self, *, port: int, mock_port: int, folder: Path) -> Launch:
        """Write junto.yaml and start on loopback with open inference, the default."""
        base = f"http://127.0.0.1:{mock_port}"
        backends = [_backend("mock", "openai", f"{base}/v1", payload.MODEL)]
        dialects: dict[str, str] = {}
        if self._translating:
            backends += [
                _backend("mock-anthropic", "anthropic", f"{base}/v1", payload.ANTHROPIC_MODEL),
                _backend("mock-ollama", "ollama", base, payload.OLLAMA_MODEL),
            ]
            dialects = {"anthropic": payload.ANTHROPIC_MODEL, "ollama": payload.OLLAMA_MODEL}
        path = folder / "junto.yaml"
        configuration: dict[str, object] = {"builtin_model": "off", "backends": backends}
        if self._keyed:
            configuration["auth"] = {"mode": "keys"}
            (folder / "pricing.yaml").write_text(PRICES, encoding="utf-8")
        # JSON is YAML, and needs no quoting rules.
        path.write_text(json.dumps(configuration), encoding="utf-8")
        argv = [str(self._program), "serve", "--config", str(path), "--port", str(port)]
        argv += ["--data-dir", str(folder / "data")]
        if not self._keyed:
            return Launch(argv=tuple(argv), door=Door(port=port, stream_models=dialects))
        key = new_admin_key()
        door = Door(port=port, headers={"Authorization": f"Bearer {key}"}, unary_only=True)
        return Launch(argv=tuple(argv), door=door, env={"JUNTO_ADMIN_KEY": key}, enter=entering(key))


def _backend(name: str, provider: str, url: str, model: str) -> dict[str, object]:
    row: dict[str, object] = {"name": name, "provider": provider, "url": url, "locality": "local", "models": [model]}
    # Ollama's usual one slot would queue the streams; here the gateway is measured, not the queue.
    return row | ({"slots": 1000} if provider == "ollama" else {"api_key": "none"})
