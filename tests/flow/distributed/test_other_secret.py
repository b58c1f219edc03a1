"""A process with another secret than the one that accepted jobs lie under, as an operator starts it: refused, and no job is touched."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.flow.distributed.processes import JUNTO, Serve, Worker, environment
from tests.flow.distributed.site import Client
from tests.upstreams import OllamaEmulator, OllamaModel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conformance.databases import Postgres

_MODEL = "house:7b"


@pytest.fixture
def url(postgres: Postgres) -> Iterator[str]:
    made = postgres.fresh()
    yield made
    postgres.drop(made)


def refused(words: list[str], folder: Path, environ: dict[str, str]) -> str:
    """What a command says that does not start."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        [*JUNTO, *words], cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1, done.stderr
    return done.stderr


def test_who_comes_with_another_secret_is_refused_and_the_job_runs_under_the_right_one(
    tmp_path: Path, url: str
) -> None:
    with OllamaEmulator(models=[OllamaModel(name=_MODEL)]) as desk:
        config = tmp_path / "junto.yaml"
        config.write_text(
            "auth: {mode: keys}\nbuiltin_model: off\n"
            f"backends: [{{name: desk, provider: ollama, url: '{desk.url}', slots: 2}}]\n"
        )
        environ = environment(DATABASE_URL=url)
        with Serve(tmp_path / "serve", config, environ) as serve:
            serve.ready()
            client = Client(serve.done("POST", "/clients", {"name": "alone"}))
            id = client.later(serve, model=_MODEL)
            other = environ | {"JUNTO_SECRETS_KEY": "another-secret-for-tests-only-0123456789"}
            none = {name: value for name, value in environ.items() if name != "JUNTO_SECRETS_KEY"}
            for kind in ("worker", "serve"):
                words = [kind, "--config", str(config), "--data-dir", str(tmp_path / kind / "other")]
                words += ["--port", "0"] if kind == "serve" else []
                assert "encrypted under a JUNTO_SECRETS_KEY named" in refused(words, tmp_path / "other", other)
                assert "JUNTO_SECRETS_KEY is not set here" in refused(words, tmp_path / "none", none)
            job = client.job(serve, id)
            assert (job["status"], job["attempts"]) == ("pending", 0)
            with Worker(tmp_path / "right", config, environ):
                assert client.ended(serve, id)["status"] == "complete"
