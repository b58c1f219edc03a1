"""`seed`, `routing` and `prompts` against a Junto that is a function."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from junto.bootstrap.seed import read_clients, read_routes
from junto.core.document import ConfigErrors
from tests.unit.cli.running import FakeJunto, not_found, refused, run, said

if TYPE_CHECKING:
    from pathlib import Path

ROUTE = {
    "task_type": "email",
    "version": 3,
    "preferred_model": "fast",
    "fallback_model": "quality",
    "sensitivity": "internal",
    "max_tokens": 10,
    "sampling": {"top_p": 0.5},
    "shadow_models": [],
    "notes": "n",
    "deleted": False,
    "author": "admin",
    "created_ms": 0,
    "warnings": ["Mind the gap."],
}
PROMPT = {
    "task_type": "email",
    "client_id": None,
    "version": 2,
    "label": "shared:email@2",
    "deleted": False,
    "bytes": 9,
    "source": "file",
    "git_hash": "df5a7454792a1f1e623a5be564b458bfe799a1a0",
    "author": "file",
    "created_ms": 0,
    "body": "Be brief.",
}


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    clients, routes = tmp_path / "clients.yaml", tmp_path / "routes.yaml"
    clients.write_text("tenants: [{name: acme}]\nclients: [{name: shop, tenant: acme}, {name: desk}]")
    routes.write_text("routes: {email: {preferred_model: fast, sensitivity: internal}}")
    return ["--clients", str(clients), "--routes", str(routes)]


def a_junto(*, tenants: list[str], clients: list[str], route: httpx2.Response) -> FakeJunto:
    def made(request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET":
            asked = request.url.params.get("name")
            return said({"clients": [{"name": asked}] if asked in clients else []})
        name = json.loads(request.content)["name"]
        return said({"name": name, "id": f"cli_{name}", "api_key": f"jt_{name}"}, 201)

    def tenant(request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET":
            return said({"tenants": [{"name": name} for name in tenants], "next": None})
        return said({"name": "acme", "id": "ten_1"}, 201)

    return FakeJunto({"/tenants": tenant, "/clients": made, "/routing/email": route})


def test_seed_makes_what_is_missing_and_shows_each_key_once(files: list[str]) -> None:
    fake = a_junto(tenants=[], clients=["desk"], route=said(ROUTE))
    result = run(fake, "seed", *files)
    assert result.exit_code == 0
    assert result.stdout.count("jt_shop") == 1
    assert "jt_desk" not in result.stdout
    assert "1 were there already" in result.stdout
    assert "Mind the gap." in result.stderr
    assert fake.body == {"preferred_model": "fast", "sensitivity": "internal", "expected_version": 0}


def test_seed_a_second_time_changes_nothing_and_says_so(files: list[str]) -> None:
    conflict = refused(409, "conflict", "The route is at version 1, not 0.")
    fake = a_junto(tenants=["acme"], clients=["shop", "desk"], route=conflict)
    result = run(fake, "seed", *files)
    assert result.exit_code == 0
    assert "Nothing to do: all 4 are there already." in result.stdout
    assert [request.method for request in fake.asked if request.method == "POST"] == []
    as_json = json.loads(run(fake, "seed", *files, "--json").stdout)
    assert as_json["made"] == []
    assert len(as_json["kept"]) == 4


def test_seed_names_the_route_that_was_refused(files: list[str]) -> None:
    fake = a_junto(tenants=[], clients=[], route=refused(422, "invalid_field", "sensitivity: Field required."))
    result = run(fake, "seed", *files)
    assert result.exit_code == 1
    assert "The route of email: sensitivity" in result.stderr


def test_seed_asks_nobody_before_both_files_are_sound(tmp_path: Path, files: list[str]) -> None:
    (tmp_path / "routes.yaml").write_text("routs: {}")
    fake = a_junto(tenants=[], clients=[], route=said(ROUTE))
    result = run(fake, "seed", *files)
    assert result.exit_code == 1
    assert "Did you mean routes?" in result.stderr
    assert fake.asked == []


def test_seed_without_files_says_what_it_looks_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(FakeJunto({}), "seed")
    assert result.exit_code == 1
    assert "seed/clients.yaml" in result.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[1]", "mapping"),
        ("clients: {}", "list"),
        ("clients: [{}]", "`name`"),
        ("clients: [{name: a}, {name: a}]", "twice"),
        ("clients: [x", "not YAML"),
    ],
)
def test_what_is_no_seed_of_clients(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "clients.yaml"
    file.write_text(text)
    with pytest.raises(ConfigErrors, match=told):
        read_clients(file)


@pytest.mark.parametrize("text", ["routes: [1]", "routes: {x: 1}", "other: 1"])
def test_what_is_no_seed_of_routes(tmp_path: Path, text: str) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text(text)
    with pytest.raises(ConfigErrors):
        read_routes(file)
    with pytest.raises(ConfigErrors):
        read_routes(tmp_path / "missing.yaml")


def answer(bodies: dict[str, Any]) -> FakeJunto:
    return FakeJunto({path: said(body) for path, body in bodies.items()})


def test_set_changes_what_was_said_and_nothing_else() -> None:
    fake = answer({"/routing/email": ROUTE})
    result = run(fake, "routing", "set", "email", "--max-tokens", "20", "--temperature", "0", "--fallback", "")
    assert result.exit_code == 0
    assert fake.body == {
        "preferred_model": "fast",
        "fallback_model": None,
        "sensitivity": "internal",
        "max_tokens": 20,
        "sampling": {"top_p": 0.5, "temperature": 0.0},
        "shadow_models": [],
        "notes": "n",
        "expected_version": 3,
    }
    assert "version 3" in result.stdout
    assert "Mind the gap." in result.stderr


def test_set_takes_back_what_get_printed(tmp_path: Path) -> None:
    fake = answer({"/routing/email": ROUTE})
    file = tmp_path / "route.json"
    file.write_text(run(fake, "routing", "get", "email").stdout)
    assert run(fake, "routing", "set", "email", "--file", str(file), "--model", "big").exit_code == 0
    assert fake.body["preferred_model"] == "big"
    assert "author" not in fake.body


def test_a_new_route_needs_a_model_and_a_tier() -> None:
    fake = FakeJunto({"/routing/new": lambda request: not_found(request.url.path)})
    result = run(fake, "routing", "set", "new", "--model", "fast")
    assert result.exit_code == 1
    assert "--sensitivity" in result.stderr


def test_a_routes_history_says_who_shadows_it_and_what_a_canary_gets() -> None:
    tried = {**ROUTE, "shadow_models": [{"model": "small", "rate": 0.25}], "canary": {"model": "tiny", "share": 0.1}}
    shown = run(answer({"/routing/email/history": {"versions": [tried]}}), "routing", "history", "email").stdout
    assert "small 25%" in shown
    assert "tiny 10%" in shown


def test_routes_as_tables() -> None:
    fake = answer(
        {
            "/routing": {"routes": [ROUTE]},
            "/routing/email/history": {"versions": [{**ROUTE, "version": 4, "deleted": True}, ROUTE]},
            "/routing/email/rollback": {**ROUTE, "version": 5},
            "/routing/email": {**ROUTE, "version": 6, "deleted": True},
        }
    )
    listed = run(fake, "routing", "list").stdout
    assert "email" in listed
    assert "top_p 0.5" in listed
    assert "deleted" in run(fake, "routing", "history", "email").stdout
    assert "version 5" in run(fake, "routing", "rollback", "email", "3").stdout
    assert fake.body == {"version": 3}
    assert "version 6" in run(fake, "routing", "delete", "email").stdout
    assert "junto seed" in run(answer({"/routing": {"routes": []}}), "routing", "list").stdout


def test_prompts_as_tables_and_text() -> None:
    fake = answer(
        {"/prompts": {"prompts": [PROMPT]}, "/prompts/email": PROMPT, "/prompts/email/history": {"versions": [PROMPT]}}
    )
    assert "df5a7454792a" in run(fake, "prompts", "list").stdout
    assert run(fake, "prompts", "get", "email", "--client", "shop", "--version", "2").stdout == "Be brief.\n"
    assert dict(fake.asked[-1].url.params) == {"client": "shop", "version": "2"}
    assert "file" in run(fake, "prompts", "history", "email").stdout


def test_edit_saves_what_the_editor_left() -> None:
    fake = answer({"/prompts/email": PROMPT})
    result = run(fake, "prompts", "edit", "email", env={"EDITOR": "sed -i s/brief/kind/", "VISUAL": ""})
    assert "Saved as shared:email@2." in result.stdout
    assert fake.body == {"body": "Be kind.", "source": "cli", "expected_version": 2}


def test_edit_without_a_change_saves_nothing() -> None:
    fake = answer({"/prompts/email": PROMPT})
    assert "Nothing has changed." in run(fake, "prompts", "edit", "email", env={"EDITOR": "true", "VISUAL": ""}).stdout
    assert [request.method for request in fake.asked] == ["GET"]


def test_a_clients_first_own_template_begins_with_the_shared_one() -> None:
    def prompt(request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET" and "client" in request.url.params:
            return not_found(request.url.path)
        return said(PROMPT)

    fake = FakeJunto({"/prompts/email": prompt})
    run(fake, "prompts", "edit", "email", "--client", "shop", env={"EDITOR": "sed -i s/brief/kind/", "VISUAL": ""})
    assert fake.body == {"body": "Be kind.", "source": "cli"}
    assert dict(fake.asked[-1].url.params) == {"client": "shop"}


def test_a_text_may_come_from_elsewhere() -> None:
    fake = answer({"/prompts/email": PROMPT})
    run(fake, "prompts", "edit", "email", "--file", "-", input="From a pipe.\n")
    assert fake.body["body"] == "From a pipe."
