"""Council templates, administered in a running Junto, on SQLite and on Postgres."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from tests.flow.running import RunningJunto

if TYPE_CHECKING:
    from collections.abc import Iterator

BUILTIN = {"code-review", "debate", "diverse-analysis", "peer-review"}
PURCHASE = {
    "description": "Two views of a purchase.",
    "members": [
        {"name": "Buyer", "persona": "You look for what it is worth."},
        {"name": "Auditor", "persona": "You look for what it costs.", "model": "fast"},
    ],
    "rounds": 2,
    "quorum": 2,
}


class Chamber:
    """A Junto with a file of its own among the councils."""

    def __init__(self, junto: RunningJunto) -> None:
        self.junto = junto

    def ask(self, method: str, name: str = "", body: Any = None) -> httpx2.Response:
        path = f"/admin/council/templates{name and '/'}{name}"
        return self.junto.http.request(method, path, json=body, headers=self.junto.admin)

    def done(self, method: str, name: str = "", body: Any = None) -> Any:
        return self.ask(method, name, body).raise_for_status().json()

    def refused(self, status: int, method: str, name: str, body: Any = None) -> dict[str, Any]:
        answer = self.ask(method, name, body)
        assert answer.status_code == status, answer.text
        error: dict[str, Any] = answer.json()["error"]
        return error


@pytest.fixture(scope="module")
def chamber(tmp_path_factory: pytest.TempPathFactory, database: dict[str, str]) -> Iterator[Chamber]:
    with RunningJunto(tmp_path_factory.mktemp("chamber"), environ=database) as junto:
        yield Chamber(junto)


def test_what_comes_with_junto_is_listed_and_shown_whole(chamber: Chamber) -> None:
    listed = {one["name"]: one for one in chamber.done("GET")["templates"]}
    assert set(listed) >= BUILTIN
    debate = chamber.done("GET", "debate")
    assert debate == listed["debate"]
    assert (debate["source"], debate["model"], debate["covers"]) == ("builtin", "council/debate", None)
    assert (len(debate["template"]["members"]), len(debate["template"]["rounds"])) == (2, 2)
    assert debate["template"]["chair"]["neutral"] is True


def test_a_stored_template_is_in_force_at_once_and_can_be_read_again(chamber: Chamber) -> None:
    saved = chamber.done("PUT", "purchase", PURCHASE)
    assert (saved["source"], saved["covers"], saved["author"]) == ("stored", None, "admin")
    assert saved["template"]["quorum"] == 2
    assert chamber.done("GET", "purchase") == saved
    again = chamber.done("PUT", "purchase", {**saved["template"], "quorum": 1})
    assert again["template"] == {**saved["template"], "quorum": 1}
    assert chamber.done("DELETE", "purchase") == {"name": "purchase", "deleted": True, "in_force": None}
    chamber.refused(404, "GET", "purchase")


def test_one_that_comes_with_junto_is_stored_over_and_comes_back_when_that_is_deleted(chamber: Chamber) -> None:
    before = chamber.done("GET", "debate")
    over = chamber.done("PUT", "debate", PURCHASE)
    assert (over["source"], over["covers"], len(over["template"]["members"])) == ("stored", "builtin", 2)
    assert chamber.done("GET", "debate") == over
    assert chamber.done("DELETE", "debate")["in_force"] == before
    assert chamber.done("GET", "debate") == before


def test_one_that_comes_with_junto_cannot_be_deleted(chamber: Chamber) -> None:
    error = chamber.refused(409, "DELETE", "code-review")
    assert (error["code"], "comes with Junto" in error["message"]) == ("conflict", True)
    assert chamber.done("GET", "code-review")["source"] == "builtin"


def test_everything_that_is_wrong_with_a_template_is_told_at_once_and_nothing_is_stored(chamber: Chamber) -> None:
    wrong = {
        "members": [
            {"name": "A", "persona": "You.", "model": "council/debate"},
            {"name": "A", "persona": "You too."},
        ],
        "quorum": 3,
        "quorm": 1,
    }
    error = chamber.refused(422, "PUT", "wrong", wrong)
    told = "\n".join(error["reasons"])
    for part in ("members[0].model", "members[1].name", "quorum", "Did you mean quorum"):
        assert part in told
    assert error["code"] == "invalid_template"
    chamber.refused(404, "GET", "wrong")
    assert chamber.refused(422, "PUT", "none", {"members": []})["param"] == "members"
    assert chamber.refused(422, "PUT", "No Name", PURCHASE)["param"] == "name"


def test_an_unknown_one_is_told_with_near_names(chamber: Chamber) -> None:
    for method in ("GET", "DELETE"):
        assert "Did you mean debate?" in chamber.refused(404, method, "debat")["message"]
