"""`junto config check` and `junto config show`."""

import json
from pathlib import Path

import pytest
from typer.testing import Result

from tests.unit.cli.running import FakeJunto, run

KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OLLAMA_HOST", "DATABASE_URL", "REDIS_URL", "JUNTO_DATA_DIR")


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def file(text: str) -> str:
    path = Path("junto.yaml")
    path.write_text(text, "utf-8")
    return str(path)


def command(*args: str, env: dict[str, str] | None = None) -> Result:
    return run(FakeJunto({}), "config", *args, env=env)


def test_check_lists_every_error_with_its_line() -> None:
    """Exit code 2, one line an error."""
    result = command("check", file("server:\n  port: 99999\n  hots: x\n"))
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "junto.yaml: line 2: server.port: must be at most 65535, not 99999",
        "junto.yaml: line 3: server.hots: There is no such key. Did you mean host?",
    ]


def test_check_reads_the_prices_too() -> None:
    """A wrong pricing.yaml beside the file is refused as well."""
    Path("pricing.yaml").write_text("- {model: x}\n", "utf-8")
    result = command("check", file("{}"))
    assert result.exit_code == 2
    assert result.stderr.startswith("pricing.yaml: line 1")


def test_check_of_a_sound_file() -> None:
    """A summary, and exit code 0."""
    result = command("check", file("backends:\n- {name: desk, provider: ollama}\n"))
    assert result.exit_code == 0
    assert result.stdout.startswith("junto.yaml: all is well.\n  backends: desk (ollama)\n")


def test_check_without_a_file() -> None:
    """The defaults are well."""
    assert "all is well" in command("check").stdout


def test_check_of_a_missing_file() -> None:
    """No traceback."""
    result = command("check", "nowhere.yaml")
    assert result.exit_code == 2
    assert "cannot be read" in result.stderr


SHARED = {
    "DATABASE_URL": "postgresql://u:canary@h/junto",
    "JUNTO_ADMIN_KEY": "a" * 32,
    "JUNTO_SECRETS_KEY": "s" * 32,
    "REDIS_URL": "redis://h",
}


@pytest.mark.parametrize(
    ("variable", "name"),
    [("JUNTO_ADMIN_KEY", "JUNTO_ADMIN_KEY"), ("JUNTO_SECRETS_KEY", "JUNTO_SECRETS_KEY"), ("REDIS_URL", "redis_url")],
)
def test_check_misses_what_processes_on_one_postgres_have_to_share(variable: str, name: str) -> None:
    """Each of them; nothing where all are there, and nothing on SQLite."""
    result = command("check", env={**SHARED, variable: ""})
    assert result.exit_code == 0
    assert result.stderr.count(f"{name} is not set") == result.stderr.count("is not set") == 1
    assert "is not set" not in command("check", env=SHARED).stderr
    assert "is not set" not in command("check").stderr
    assert "canary" not in result.output


def test_check_has_nothing_to_say_about_a_redis_and_never_shows_its_password() -> None:
    result = command("check", env={"REDIS_URL": "redis://:canary@h"})
    assert result.exit_code == 0
    assert "not used" not in result.stderr
    assert "canary" not in result.output


def test_show_says_where_each_value_is_from() -> None:
    """Line of the file, variable, or default."""
    path = file("server: {port: 1}\nbackends:\n- name: a\n  type: openai\n  url: http://h/v1\n  models: [m]\n")
    slack = {"SLACK_BOT_TOKEN": "xoxb-secret", "SLACK_SIGNING_SECRET": "s"}
    result = command("show", "--json", env={"JUNTO_DATA_DIR": "/d", "ANTHROPIC_API_KEY": "sk-secret", **slack})
    shown = json.loads(result.stdout)
    sources = shown["from"]
    assert sources["server.port"] == f"{path} line 1"
    assert sources["server.host"] == "default"
    assert sources["data_dir"] == "JUNTO_DATA_DIR"
    assert sources["channels.slack.bot_token"] == "SLACK_BOT_TOKEN"
    assert sources["backends[0].provider"] == f"{path} line 4"
    assert sources["backends[0].models.m"] == f"{path} line 6"
    assert sources["backends[1].name"] == "environment"
    assert shown["settings"]["data_dir"] == "/d"


def test_show_masks_secrets() -> None:
    """No key in either form."""
    for form in ([], ["--json"]):
        result = command("show", *form, env={"ANTHROPIC_API_KEY": "sk-secret", "JUNTO_ADMIN_KEY": "jt_" + "s" * 20})
        assert "sk-secret" not in result.output
        assert "sss" not in result.output
        assert "********" in result.stdout


def test_show_without_anything() -> None:
    """Empty lists and mappings are values too."""
    sources = json.loads(command("show", "--json").stdout)["from"]
    assert sources["backends"] == sources["groups"] == "default"


def test_the_example_can_be_shown() -> None:
    """Every path of the shipped example has an origin."""
    example = Path(__file__).parents[3] / "junto.example.yaml"
    assert command("show", "--config", str(example)).exit_code == 0
