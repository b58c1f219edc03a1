"""`junto seed`: the clients and routes that a new Junto begins with. Makes what is missing, and touches nothing that is there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from junto.cli.options import DEFAULT_URL, AdminKeyOption, JsonOption, UrlOption
from junto.cli.output import fail, print_json

if TYPE_CHECKING:
    from junto.bootstrap.seed import Body, SeededClients
    from junto.cli.remote import Junto

_CLIENTS = Path("seed/clients.yaml")
_ROUTES = Path("seed/routes.yaml")
_DEFAULT_TENANT = "default"


def seed(
    context: typer.Context,
    *,
    clients: Annotated[Path | None, typer.Option(help="A file of clients; usually seed/clients.yaml.")] = None,
    routes: Annotated[Path | None, typer.Option(help="A file of routes; usually seed/routes.yaml.")] = None,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the clients and routes of the seed files that are missing; shows new keys, this once."""
    from junto.bootstrap.seed import SeededClients, read_clients, read_routes
    from junto.cli.remote import junto_at
    from junto.core.document import ConfigErrors

    try:  # both files before anything is made
        clients_file, routes_file = _file(clients, _CLIENTS), _file(routes, _ROUTES)
        wanted = SeededClients() if clients_file is None else read_clients(clients_file)
        wanted_routes = {} if routes_file is None else read_routes(routes_file)
    except ConfigErrors as error:
        fail(str(error))
    if clients_file is None and routes_file is None:
        fail(f"There is neither {_CLIENTS} nor {_ROUTES} here; --clients and --routes name others.")
    report = _Report(as_json=as_json)
    with junto_at(context, url, key) as junto:
        _seed_tenants(junto, wanted, report)
        _seed_clients(junto, wanted, report)
        _seed_routes(junto, wanted_routes, report)
    report.end()


class _Report:
    """Tells what was made as soon as it is made: a key that is not shown at once could be lost."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._made: list[dict[str, Any]] = []
        self._kept: list[dict[str, Any]] = []

    def made(self, what: str, line: str, **fields: Any) -> None:
        self._made.append({"kind": what, **fields})
        if not self._as_json:
            print(line, flush=True)

    def kept(self, what: str, name: str) -> None:
        self._kept.append({"kind": what, "name": name})

    def end(self) -> None:
        if self._as_json:
            print_json({"made": self._made, "kept": self._kept})
        elif not self._made:
            print(f"Nothing to do: all {len(self._kept)} are there already.")
        elif self._kept:
            print(f"{len(self._kept)} were there already and stay as they are.")


def _file(given: Path | None, usual: Path) -> Path | None:
    return given if given is not None else (usual if usual.is_file() else None)


def _seed_tenants(junto: Junto, wanted: SeededClients, report: _Report) -> None:
    from junto.cli.remote import all_pages

    there = {one["name"] for one in all_pages(junto, "/tenants", "tenants")} if wanted.tenants else set()
    for body in wanted.tenants:
        if body["name"] in there:
            report.kept("tenant", body["name"])
            continue
        made = junto.post("/tenants", body)
        report.made("tenant", f"Tenant {made['name']} ({made['id']}).", name=made["name"], id=made["id"])


def _seed_clients(junto: Junto, wanted: SeededClients, report: _Report) -> None:
    for body in wanted.clients:
        tenant = body.get("tenant", _DEFAULT_TENANT)
        if junto.get("/clients", name=body["name"], tenant=tenant)["clients"]:
            report.kept("client", body["name"])
            continue
        made = junto.post("/clients", body)
        line = f"Client {made['name']} ({made['id']}); its key, which is shown only now: {made['api_key']}"
        report.made("client", line, name=made["name"], id=made["id"], api_key=made["api_key"])


def _seed_routes(junto: Junto, wanted: dict[str, Body], report: _Report) -> None:
    from urllib.parse import quote

    from junto.cli.output import complain
    from junto.cli.remote import RemoteError

    for task_type, body in wanted.items():
        try:
            made = junto.put(f"/routing/{quote(task_type, safe='')}", {**body, "expected_version": 0})
        except RemoteError as refused:
            if refused.code != "conflict":
                raise RemoteError(f"The route of {task_type}: {refused}", code=refused.code) from None
            report.kept("route", task_type)  # it is there, or it was and somebody deleted it
            continue
        report.made("route", f"Route {task_type}: {made['preferred_model']}, {made['sensitivity']}.", name=task_type)
        for warning in made["warnings"]:
            complain(f"  {warning}")
