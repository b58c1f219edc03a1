"""Data sets from outside: what was answered and scored comes out as lines that a trainer reads, and confidential content does not."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.flow.running import RunningJunto
from tests.upstreams import OpenAIEmulator, Scripted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx2

    from tests.upstreams.ask import Ask

KEPT: dict[str, Any] = {"storage": {"responses": {"confidential": "full"}}}
ALLOWED: dict[str, Any] = {**KEPT, "evals": {"datasets_confidential": True}}


class School:
    """A Junto with the models `good`, `poor` and `teacher`; the first two say what they are called, the third one judges."""

    def __init__(self, junto: RunningJunto) -> None:
        self.junto = junto
        self.asked = 0

    def ask(self, model: str, question: str, *, task: str = "geo", tier: str = "internal", **more: Any) -> str:
        """Ask, and give back the exchange's id."""
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": question}]
        answer = self.junto.http.post(
            "/v1/chat/completions",
            json={"model": model, "messages": messages, **more},
            headers={"x-junto-task": task, "x-junto-sensitivity": tier},
        ).raise_for_status()
        self.asked += 1
        return str(answer.headers["x-junto-request-id"])

    def stored(self) -> None:
        """Wait until everything that was asked is in the database."""
        self.junto.recorded(self.asked, limit=200)

    def score(self, exchange: str, score: int) -> None:
        self._post(f"/eval/exchanges/{exchange}/score", {"score": score})

    def decide(self, first: str, second: str) -> dict[str, Any]:
        pair = {"first": {"kind": "exchange", "id": first}, "second": {"kind": "exchange", "id": second}}
        return self._post("/eval/judge", {"mode": "pairwise", "judges": ["teacher"], "pair": pair, "apply": True})

    def export(self, name: str, **query: Any) -> httpx2.Response:
        return self.junto.http.get(f"/datasets/{name}", params=query, headers=self.junto.admin)

    def rows(self, name: str, **query: Any) -> list[dict[str, Any]]:
        answer = self.export(name, **query)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("application/jsonl")
        return [json.loads(line) for line in answer.text.splitlines()]

    def answers(self, **query: Any) -> list[str]:
        return [row["messages"][-1]["content"] for row in self.rows("sft", **query)]

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.junto.http.post(path, json=body, headers=self.junto.admin)
        assert answer.is_success, answer.text
        told: dict[str, Any] = answer.json()
        return told


def answering(ask: Ask) -> Scripted:
    if ask.schema is None:
        return Scripted(text=f"the {ask.model} answer")
    first = "A" if ask.prompt.find("the good answer") < ask.prompt.find("the poor answer") else "B"
    return Scripted(text=json.dumps({"winner": first, "reason": "It says so."}))


@contextmanager
def set_school(folder: Path, environ: dict[str, str] | None = None, **config: Any) -> Iterator[School]:
    with OpenAIEmulator(models=["good", "poor", "teacher"]) as upstream:
        upstream.script.always(answering)
        backends = [{"name": "up", "provider": "openai", "url": upstream.base_url, "locality": "local"}]
        with RunningJunto(folder, {"backends": backends, **config}, environ=environ or {}) as junto:
            yield School(junto)


@pytest.fixture
def school(tmp_path: Path, fresh_database: dict[str, str]) -> Iterator[School]:
    with set_school(tmp_path, fresh_database, **KEPT) as school:
        yield school


def test_well_scored_answers_come_out_as_conversations(school: School) -> None:
    good, poor = school.ask("good", "Capital of France?"), school.ask("poor", "Capital of France?")
    unscored = school.ask("good", "Capital of Italy?", task="other")
    school.stored()
    school.score(good, 5)
    school.score(poor, 2)
    assert unscored
    [row] = school.rows("sft")
    assert row == {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Capital of France?"},
            {"role": "assistant", "content": "the good answer"},
        ]
    }
    assert sorted(school.answers(min_score=1)) == ["the good answer", "the poor answer"]
    assert school.answers(min_score=1, limit=1) == ["the good answer"]
    assert school.answers(task_type="other", min_score=1) == []
    assert school.answers(via="judge", min_score=1) == []
    assert school.answers(tenant="nobody", min_score=1) == []


def test_streamed_answers_and_other_dialects_come_out_the_same(school: School) -> None:
    streamed = school.ask("good", "Capital of France?", stream=True)
    body = {"model": "good", "max_tokens": 9, "messages": [{"role": "user", "content": "Capital of France?"}]}
    answer = school.junto.http.post("/v1/messages", json=body, headers={"x-junto-task": "geo"}).raise_for_status()
    school.asked += 1
    school.stored()
    for exchange in (streamed, answer.headers["x-junto-request-id"]):
        school.score(exchange, 5)
    assert [row["messages"][-2:] for row in school.rows("sft")] == [
        [
            {"role": "user", "content": "Capital of France?"},
            {"role": "assistant", "content": "the good answer"},
        ]
    ] * 2


def test_a_verdict_is_a_preference(school: School) -> None:
    poor, good = school.ask("poor", "Capital of France?"), school.ask("good", "Capital of France?")
    school.stored()
    assert school.decide(poor, good)["winner"] == "second"
    assert school.rows("preferences") == [
        {
            "prompt": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Capital of France?"},
            ],
            "chosen": [{"role": "assistant", "content": "the good answer"}],
            "rejected": [{"role": "assistant", "content": "the poor answer"}],
        }
    ]
    assert school.rows("preferences", via="admin") == []
    assert school.rows("preferences", min_score=5) == []


def test_confidential_content_does_not_leave(school: School) -> None:
    """Not when its tier is named, and not when it is asked for by name: the configuration has not allowed it."""
    secret = school.ask("good", "Our secret?", tier="confidential")
    school.stored()
    school.score(secret, 5)
    assert school.rows("sft") == []
    named, wanted = school.export("sft", sensitivity="confidential"), school.export("sft", include_confidential=True)
    assert (named.status_code, named.json()["error"]["param"]) == (422, "include_confidential")
    assert (wanted.status_code, wanted.json()["error"]["code"]) == (403, "sensitivity_not_servable")
    assert "secret" not in named.text + wanted.text


def test_confidential_content_leaves_when_it_is_asked_for_and_allowed(tmp_path: Path) -> None:
    with set_school(tmp_path, **ALLOWED) as school:
        secret = school.ask("good", "Our secret?", tier="confidential")
        school.stored()
        school.score(secret, 5)
        assert school.answers() == []
        assert school.answers(include_confidential=True) == ["the good answer"]


def test_what_is_kept_without_texts_is_left_out(tmp_path: Path) -> None:
    """As confidential content is by default, even where it may leave."""
    with set_school(tmp_path, evals={"datasets_confidential": True}) as school:
        secret = school.ask("good", "Our secret?", tier="confidential")
        school.stored()
        school.score(secret, 5)
        assert school.rows("sft", include_confidential=True) == []


@pytest.mark.parametrize(
    "query",
    [{"min_score": 0}, {"min_score": 6}, {"min_score": "nan"}, {"via": "robot"}, {"days": 0}, {"limit": 0},
     {"sensitivity": "secret"}, {"task_type": "a\0b"}, {"tenant": "\0"}, {"task_type": "a" * 201}],
)  # fmt: skip
def test_filters_that_cannot_be_are_refused(school: School, query: dict[str, Any]) -> None:
    assert school.export("preferences", **query).status_code == 422


def test_the_administrator_alone_may_export(school: School) -> None:
    assert school.junto.http.get("/datasets/sft").status_code == 401
