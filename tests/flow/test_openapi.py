"""The control plane against its own OpenAPI document: whatever is made up of it or against it, nothing breaks and errors are told."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

from tests.flow.running import ADMIN_KEY, RunningJunto

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemathesis import BaseSchema, Case

EXAMPLES = 12


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BaseSchema]:
    config = {"builtin_model": "off", "backends": [{"name": "nobody", "provider": "fake"}]}
    with RunningJunto(tmp_path_factory.mktemp("data"), config) as junto:
        yield schemathesis.openapi.from_url(f"{junto.url}/openapi.json")


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_whatever_is_asked_is_answered_or_refused_in_words(api: BaseSchema, mode: GenerationMode) -> None:
    operations = [found.ok() for found in api.get_all_operations() if isinstance(found, Ok)]
    asked = {operation.label: 0 for operation in operations}
    for operation in operations:

        @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode))
        def answers_or_refuses(case: Case[Any]) -> None:
            asked[case.operation.label] += 1
            response = case.call(headers={"authorization": f"Bearer {ADMIN_KEY}"}, timeout=20)
            assert response.status_code < 500 or response.status_code == 503, response.text
            if response.status_code >= 400 and case.method != "HEAD":
                error = response.json()["error"]  # in Ollama's dialect and in Junto's own a sentence
                assert error if isinstance(error, str) else error["message"]

        with suppress(Unsatisfiable):  # at an operation that takes nothing there is nothing to get wrong
            answers_or_refuses()
    silent = [label for label, times in asked.items() if not times]
    assert len(silent) < len(asked) / (100 if mode is GenerationMode.POSITIVE else 2), silent
