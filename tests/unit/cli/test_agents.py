"""`agents`: bodies of what was given and nothing else, and no deletion that nobody has agreed to."""

import json
from pathlib import Path

from tests.unit.cli.running import FakeJunto, refused, run, said

ADA = {
    "id": "agt_1",
    "name": "ada",
    "tenant": "ten_1",
    "display_name": "Ada",
    "role": "front desk",
    "persona": "Warm.\x1b[31m",
    "instructions": "Open 10 to 18.",
    "model": "fast",
    "sensitivity": "internal",
    "tools": False,
    "channels": {
        "web": {"enabled": True, "visitors": True},
        "slack": {"enabled": True, "team": "", "app": "", "channels": []},
    },
    "retention_days": 30,
    "enabled": True,
    "created_ms": 1_700_000_000_000,
    "updated_ms": 1_700_000_000_000,
}


def test_create_sends_what_was_given() -> None:
    fake = FakeJunto({"/agents": said(ADA, 201)})
    result = run(fake, "agents", "create", "ada")
    assert result.exit_code == 0
    assert fake.body == {"name": "ada"}
    assert "agent/ada" in result.stdout


def test_create_knows_the_whole_agent(tmp_path: Path) -> None:
    (tmp_path / "ada.md").write_text("Open 10 to 18.\n")
    fake = FakeJunto({"/agents": said(ADA, 201)})
    options = [
        *("--display-name", "Ada", "--role", "front desk", "--persona", "Warm.", "--model", "quality"),
        *("--instructions", str(tmp_path / "ada.md"), "--sensitivity", "internal", "--tools", "--visitors"),
        *("--slack", "--retention-days", "30", "--tenant", "acme", "--json"),
    ]
    result = run(fake, "agents", "create", "ada", *options)
    assert json.loads(result.stdout) == ADA
    assert fake.body == {
        "name": "ada",
        "tenant": "acme",
        "display_name": "Ada",
        "role": "front desk",
        "persona": "Warm.",
        "instructions": "Open 10 to 18.",
        "model": "quality",
        "sensitivity": "internal",
        "tools": True,
        "channels": {"web": {"enabled": True, "visitors": True}, "slack": {"enabled": True}},
        "retention_days": 30,
    }


def test_instructions_come_from_standard_input_too_and_a_missing_file_is_told() -> None:
    fake = FakeJunto({"/agents": said(ADA, 201)})
    assert run(fake, "agents", "create", "ada", "--instructions", "-", input="Be brief.\n").exit_code == 0
    assert fake.body["instructions"] == "Be brief."
    result = run(fake, "agents", "create", "ada", "--instructions", "nowhere.md")
    assert (result.exit_code, "nowhere.md" in result.stderr, len(fake.asked)) == (1, True, 1)


def test_list_and_show_tell_of_an_agent_without_its_control_characters() -> None:
    fake = FakeJunto({"/agents": said({"agents": [ADA], "next": None}), "/agents/ada": said(ADA)})
    listed = run(fake, "agents", "list", "--tenant", "acme")
    for part in ("ada", "front desk", "internal", "web, for visitors too; slack", "30 days"):
        assert part in listed.stdout
    assert fake.asked[-1].url.params["tenant"] == "acme"
    shown = run(fake, "agents", "show", "ada")
    assert "Open 10 to 18." in shown.stdout
    assert "\x1b" not in shown.stdout


def test_an_empty_list_says_how_to_make_one() -> None:
    result = run(FakeJunto({"/agents": said({"agents": [], "next": None})}), "agents", "list")
    assert "junto agents create" in result.stdout


def test_delete_asks_first() -> None:
    fake = FakeJunto({"/agents/ada": said({"name": "ada", "tenant": "ten_1", "deleted": True})})
    assert run(fake, "agents", "delete", "ada", input="n\n").exit_code == 1
    assert fake.asked == []
    assert run(fake, "agents", "delete", "ada", input="y\n").exit_code == 0
    assert run(fake, "agents", "delete", "ada", "--yes").exit_code == 0
    assert [request.method for request in fake.asked] == ["DELETE", "DELETE"]


def test_what_junto_refuses_is_told() -> None:
    fake = FakeJunto({"/agents/adda": refused(404, "not_found", "There is no agent 'adda'. Did you mean ada?")})
    result = run(fake, "agents", "show", "adda")
    assert (result.exit_code, "Did you mean ada?" in result.stderr) == (1, True)
