"""`clients` and `tenants`: bodies of what was given and nothing else, names for ids, a key shown once."""

import json

import pytest

from tests.unit.cli.running import FakeJunto, not_found, refused, run, said

CLIENT = {
    "id": "cli_1",
    "name": "shop",
    "tenant": "ten_1",
    "tenant_name": "acme",
    "enabled": True,
    "rate_limit_per_minute": 60,
    "tokens_per_minute": None,
    "max_concurrency": 4,
    "budgets": [{"period": "daily", "budget_usd": "12.500000"}],
    "allow_cloud_for_internal": False,
    "min_sensitivity": "internal",
    "allowed_models": None,
    "weight": 1,
    "scopes": ["inference", "jobs"],
    "notes": "",
    "keys": [
        {"id": "key_1", "prefix": "jt_abcdefgh", "created_ms": 1_700_000_000_000, "expires_ms": 1_700_000_060_000},
        {"id": "key_2", "prefix": "jt_ijklmnop", "created_ms": 1_700_000_000_000, "expires_ms": None},
    ],
    "created_ms": 1_700_000_000_000,
    "updated_ms": 1_700_000_000_000,
}
TENANT = {
    name: CLIENT[name] for name in ("enabled", "rate_limit_per_minute", "tokens_per_minute", "max_concurrency")
} | {
    "id": "ten_1",
    "name": "acme",
    "budgets": [],
    "notes": "a note",
}
ISSUED = {**CLIENT, "key_id": "key_2", "api_key": "jt_ijklmnop-the-whole-key"}
ONE = said({"clients": [CLIENT], "next": None})
NONE = said({"clients": [], "next": None})


def test_create_sends_what_was_given_and_shows_the_key() -> None:
    fake = FakeJunto({"/clients": said(ISSUED, 201)})
    result = run(fake, "clients", "create", "shop", "--tenant", "acme", "--requests-per-minute", "60")
    assert result.exit_code == 0
    assert fake.body == {"name": "shop", "tenant": "acme", "rate_limit_per_minute": 60}
    assert "jt_ijklmnop-the-whole-key" in result.stdout
    assert "acme" in result.stdout


def test_create_knows_the_whole_policy() -> None:
    fake = FakeJunto({"/clients": said(ISSUED, 201)})
    options = [
        *("--tokens-per-minute", "5", "--max-concurrency", "4", "--budget", "12.5", "--period", "daily"),
        *("--allow-cloud-for-internal", "--min-sensitivity", "internal", "--model", "fast", "--model", "desk/a"),
        *("--weight", "3", "--scope", "inference", "--scope", "service", "--notes", "n"),
    ]
    assert run(fake, "clients", "create", "shop", *options).exit_code == 0
    assert fake.body == {
        "name": "shop",
        "tokens_per_minute": 5,
        "max_concurrency": 4,
        "budget_usd": "12.5",
        "period": "daily",
        "allow_cloud_for_internal": True,
        "min_sensitivity": "internal",
        "allowed_models": ["fast", "desk/a"],
        "weight": 3,
        "scopes": ["inference", "service"],
        "notes": "n",
    }


def test_a_refusal_is_told_in_juntos_words() -> None:
    fake = FakeJunto({"/clients": refused(409, "conflict", "The name shop is taken already.")})
    result = run(fake, "clients", "create", "shop")
    assert result.exit_code == 1
    assert "The name shop is taken already." in result.stderr


def test_list_reads_every_page() -> None:
    pages = iter(
        [said({"clients": [CLIENT], "next": "cli_1"}), said({"clients": [{**CLIENT, "name": "b"}], "next": None})]
    )
    fake = FakeJunto({"/clients": lambda _: next(pages)})
    result = run(fake, "clients", "list", "--json")
    assert [client["name"] for client in json.loads(result.stdout)] == ["shop", "b"]
    assert fake.asked[1].url.params["after"] == "cli_1"


def test_list_is_a_table_for_people() -> None:
    result = run(FakeJunto({"/clients": ONE}), "clients", "list")
    for cell in ("shop", "acme", "60 req/min, 4 at once", "12.5 $ daily", "jt_abcdefgh...", "enabled"):
        assert cell in result.stdout
    assert "create" in run(FakeJunto({"/clients": NONE}), "clients", "list").stdout


def test_show_finds_a_client_by_its_name() -> None:
    fake = FakeJunto({"/clients": ONE, "/clients/cli_1": said(CLIENT)})
    result = run(fake, "clients", "show", "shop")
    assert result.exit_code == 0
    assert fake.asked[0].url.params["name"] == "shop"
    assert "2023-11-14" in result.stdout
    assert json.loads(run(fake, "clients", "show", "shop", "--json").stdout) == CLIENT


def test_what_is_no_name_is_taken_for_an_id() -> None:
    fake = FakeJunto({"/clients": NONE, "/clients/cli_1": said(CLIENT)})
    assert run(fake, "clients", "show", "cli_1").exit_code == 0
    missing = run(FakeJunto({"/clients": NONE}), "clients", "show", "a/b")
    assert missing.exit_code == 1
    assert "a%2Fb" in missing.stderr or "a/b" in missing.stderr


def test_a_name_that_several_tenants_use_asks_which() -> None:
    twice = said({"clients": [CLIENT, {**CLIENT, "id": "cli_2", "tenant_name": "other"}], "next": None})
    result = run(FakeJunto({"/clients": twice}), "clients", "disable", "shop")
    assert result.exit_code == 1
    for word in ("cli_1 of acme", "cli_2 of other", "--tenant"):
        assert word in result.stderr


@pytest.mark.parametrize(("options", "body"), [((), {}), (("--overlap", "0"), {"overlap_s": 0})])
def test_rotate_shows_the_new_key_and_until_when_the_old_one_works(
    options: tuple[str, ...], body: dict[str, int]
) -> None:
    fake = FakeJunto({"/clients": ONE, "/clients/cli_1/rotate-key": said(ISSUED)})
    result = run(fake, "clients", "rotate", "shop", *options)
    assert fake.body == body
    assert "jt_ijklmnop-the-whole-key" in result.stdout
    assert "2023-11-14 22:14:20Z" in result.stdout


@pytest.mark.parametrize(("command", "enabled"), [("disable", False), ("enable", True)])
def test_disable_and_enable_change_nothing_else(command: str, enabled: bool) -> None:  # noqa: FBT001
    fake = FakeJunto({"/clients": ONE, "/clients/cli_1": said({**CLIENT, "enabled": enabled})})
    result = run(fake, "clients", command, "shop")
    assert fake.asked[-1].method == "PATCH"
    assert fake.body == {"enabled": enabled}
    assert f"{command}d" in result.stdout


def test_tenants_are_made_and_listed() -> None:
    fake = FakeJunto({"/tenants": said(TENANT, 201)})
    result = run(fake, "tenants", "create", "acme", "--max-concurrency", "4", "--budget", "100", "--period", "monthly")
    assert fake.body == {"name": "acme", "max_concurrency": 4, "budget_usd": "100", "period": "monthly"}
    assert "ten_1" in result.stdout
    listed = FakeJunto({"/tenants": said({"tenants": [TENANT], "next": None})})
    assert "a note" in run(listed, "tenants", "list").stdout
    assert json.loads(run(listed, "tenants", "list", "--json").stdout) == [TENANT]


def test_without_the_admin_key_the_command_says_how_to_give_it() -> None:
    fake = FakeJunto({"/tenants": refused(401, "invalid_api_key", "The admin key is needed.")})
    assert "JUNTO_ADMIN_KEY" in run(fake, "tenants", "list").stderr
    assert run(lambda request: not_found(request.url.path), "tenants", "list").exit_code == 1
