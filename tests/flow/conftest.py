"""Fixtures of the flow tests: the usual stage, set once a file, and a script that nobody has used yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.flow.stage import MODELS, Stage, set_stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.upstreams import Script


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with set_stage(tmp_path_factory.mktemp("data")) as stage:
        yield stage


@pytest.fixture(params=list(MODELS))
def backend(request: pytest.FixtureRequest) -> str:
    """The kind of the backend that answers."""
    return str(request.param)


@pytest.fixture
def model(backend: str) -> str:
    """A chat model of that backend."""
    return MODELS[backend]


@pytest.fixture
def script(stage: Stage, backend: str) -> Script:
    """That backend's script, with nothing planned and nothing received."""
    script = stage.scripts[backend]
    script.clear()
    assert not script.remaining
    return script
