"""LiteLLM's proxy, in an environment of its own, set up as its page on production says.

One worker (it has one core), no database, no callbacks, logs at error level, its bundled price list.
"""

import json
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from bench.subjects.subject import Door, Launch, Unavailable

_VERSION: Final = "1.106.2"

_ENVIRONMENT: Final = {
    "LITELLM_LOG": "ERROR",
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_DONT_SHOW_FEEDBACK_BOX": "true",
    "DISABLE_ADMIN_UI": "True",
    "NO_DOCS": "True",
    "NO_REDOC": "True",
}


class LiteLLM:
    """The `litellm` proxy with one model, whose base address is the mock."""

    name = "litellm"
    slow = True

    def __init__(self, *, tools: Path, cache: Path) -> None:
        self._uv = tools / "bin" / "uv"
        self._venv = cache / "litellm"

    def obtain(self) -> str:
        """Install the pinned version on first use."""
        program = self._venv / "bin" / "litellm"
        if not program.exists():
            self._install()
        query = "import importlib.metadata as m; print(m.version('litellm'))"
        told = subprocess.run(
            [self._venv / "bin" / "python", "-S", "-c", f"import site; site.main(); {query}"],
            capture_output=True,
            text=True,
            check=False,
        )
        if told.returncode or not program.exists():
            raise Unavailable("its installation is broken; remove .bench/litellm and run again")
        return told.stdout.strip()

    def launch(self, *, port: int, mock_port: int, folder: Path) -> Launch:
        """Write the configuration with a strong key (a weak one is refused) and start one worker."""
        key = "sk-" + secrets.token_hex(32)
        base = f"http://127.0.0.1:{mock_port}/v1"
        model = {"model": "openai/mock-model", "api_base": base, "api_key": "none"}
        configuration = {
            "model_list": [{"model_name": "mock-model", "litellm_params": model}],
            "litellm_settings": {
                "set_verbose": False,
                "request_timeout": 600,
                "num_retries": 0,
                "callbacks": [],
                "telemetry": False,
            },
            "general_settings": {"master_key": key},
        }
        path = folder / "litellm.yaml"
        # JSON is YAML, and needs no quoting rules.
        path.write_text(json.dumps(configuration), encoding="utf-8")
        argv = (str(self._venv / "bin" / "litellm"), "--config", str(path), "--host", "127.0.0.1")
        return Launch(
            argv=(*argv, "--port", str(port), "--num_workers", "1"),
            env=_ENVIRONMENT,
            door=Door(port=port, headers={"Authorization": f"Bearer {key}"}),
            patience_s=150.0,
        )

    def _install(self) -> None:
        uv = str(self._uv) if self._uv.exists() else shutil.which("uv")
        if uv is None:
            raise Unavailable("not installed, and uv (which `make install` brings) is missing")
        steps = (
            [uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(self._venv)],
            [
                uv,
                "pip",
                "install",
                "--quiet",
                "--python",
                str(self._venv / "bin" / "python"),
                f"litellm[proxy]=={_VERSION}",
            ],
        )
        for step in steps:
            done = subprocess.run(step, capture_output=True, text=True, check=False, timeout=600)
            if done.returncode:
                raise Unavailable(f"installing failed: {done.stderr.strip()[-200:]}")
