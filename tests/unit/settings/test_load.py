"""The file, the environment and the options become one value; or every error is listed."""

from pathlib import Path

import pytest

from junto.core.document import ConfigErrors
from junto.core.secret import Secret
from junto.settings.load import load
from junto.settings.model import ServeOptions
from tests.unit.settings.loading import KNOWN, errors, places, settings

CONTRACT = """
server:   {host: 127.0.0.1, port: 11430, workers: 1, max_body_mb: 32}
data_dir: ./data
database_url: null
redis_url: null
auth:
  mode: open
  open_client: {allow_cloud_for_internal: true}
builtin_model: auto
backends:
  - name: desk
    provider: ollama
    url: http://127.0.0.1:11434
    priority: 1
    slots: 1
  - name: rack
    provider: openai
    url: http://10.0.0.5:8000/v1
    api_key: ${RACK_KEY:-none}
    locality: local
    models: ["qwen3:8b"]
    timeouts: {connect: 5, headers: 30, first_token: 120, idle: 60}
  - {name: claude, provider: anthropic, api_key: "${ANTHROPIC_API_KEY}", models: [claude-sonnet-4-5]}
groups:
  fast:    {members: ["llama3.2:3b", "rack/qwen3:8b"], strategy: smart}
  quality: {members: [{model: claude/claude-sonnet-4-5, weight: 3}, {model: gpt-4o, weight: 1}], strategy: latency, fallback: fast}
fallbacks:
  "llama3.3:70b": ["llama3.1:8b", fast]
routing:  {strategy: smart, prefer_loaded: true, heartbeat_interval: 10, default_sensitivity: internal, max_attempts: 4}
storage:
  responses: {public: full, internal: full, confidential: metadata}
  compress: true
  retention_days: 30
metrics:  {enabled: true}
logging:  {level: info, format: json}
"""


def test_the_file_of_the_contract_is_read_as_it_stands() -> None:
    """Every name in it means what the contract says."""
    made = settings(CONTRACT, {"ANTHROPIC_API_KEY": "sk-ant"})
    desk, rack, claude = made.backends
    assert (desk.priority, desk.slots, desk.models, desk.locality) == (1, 1, None, None)
    assert (rack.models, rack.locality, rack.api_key) == ({"qwen3:8b": "qwen3:8b"}, "local", Secret("none"))
    assert claude.api_key == Secret("sk-ant")
    quality = made.groups["quality"]
    assert [(member.model, member.weight) for member in quality.members] == [
        ("claude/claude-sonnet-4-5", 3),
        ("gpt-4o", 1),
    ]
    assert (quality.strategy, quality.fallback) == ("latency", "fast")
    assert made.fallbacks == {"llama3.3:70b": ("llama3.1:8b", "fast")}
    assert made.warnings == ()


def test_without_a_file_the_defaults_of_the_contract_apply() -> None:
    """An empty file, and one with empty headings, mean the same."""
    made = settings()
    assert made == settings("server:\nbackends:\ngroups:\nfallbacks:\nrouting:\n# nothing\n")
    assert (made.server.host, made.server.port, made.server.workers, made.server.max_body_mb) == (
        "127.0.0.1",
        11430,
        1,
        32,
    )
    assert (made.auth.mode, made.auth.open_client.allow_cloud_for_internal) == ("open", True)
    assert (made.data_dir, made.builtin_model) == (Path("data"), "auto")
    assert (made.routing.default_sensitivity, made.routing.max_attempts, made.routing.heartbeat_interval) == (
        "internal",
        4,
        10,
    )
    assert made.storage.responses.confidential == "metadata"
    assert (made.backends, dict(made.groups)) == ((), {})


def test_settings_cannot_be_changed() -> None:
    """Neither their fields nor what these hold."""
    made = settings(CONTRACT, {"ANTHROPIC_API_KEY": "k"})
    with pytest.raises(ValueError, match="frozen"):
        made.server.port = 1
    for mapping in (made.groups, made.fallbacks, made.backends[1].models):
        with pytest.raises(TypeError):
            mapping["x"] = None  # type: ignore[index]


def test_options_beat_the_environment_which_beats_the_file() -> None:
    """For each of the values that more than one of them can set."""
    text = "{server: {port: 1, host: localhost}, data_dir: a, database_url: 'sqlite:///a', redis_url: 'redis://a'}"
    environ = {"JUNTO_DATA_DIR": "b", "DATABASE_URL": "sqlite:///b", "REDIS_URL": ""}
    made = settings(text, environ, ServeOptions(port=3, data_dir=Path("c")))
    assert (made.server.port, made.server.host, made.data_dir) == (3, "localhost", Path("c"))
    assert made.database_url == Secret("sqlite:///b")
    assert made.redis_url == Secret("redis://a")
    assert settings(text, environ).data_dir == Path("b")


def test_errors_in_variables_and_options_name_them() -> None:
    """They have no line in the file."""
    found = errors("server: {port: 80}", {"REDIS_URL": "http://x", "OLLAMA_HOST": "a b"}, ServeOptions(port=70_000))
    assert places(found) == [("--port", None), ("OLLAMA_HOST", None), ("REDIS_URL", None)]


@pytest.mark.parametrize("url", ["redis://h:port/0", "redis://:a/b@h:1/0", "redis://h:0/0", "redis://[h/0"])
def test_an_address_of_redis_that_cannot_be_one_is_refused_and_not_repeated(url: str) -> None:
    """At the start, not by a traceback of whoever connects first."""
    (error,) = errors("", {"REDIS_URL": url})
    assert error.path == "REDIS_URL"
    assert url not in error.message


@pytest.mark.parametrize("url", ["redis://h", "rediss://:p%40ss@h:6380/1", "unix:///run/redis.sock?db=1"])
def test_addresses_of_redis(url: str) -> None:
    """With and without a port, a password, a socket."""
    assert settings("", {"REDIS_URL": url}).redis_url == Secret(url)


def test_every_error_is_listed_in_the_order_of_lines() -> None:
    """Of every kind at once: types, bounds, unknown keys, missing variables, contradictions, duplicates."""
    found = errors(
        """
server: {port: yes, hots: x}
backends:
  - {name: a/b, provider: openia}
  - {name: c, provider: openai, slots: 0}
  - {name: d, provider: vllm}
  - {name: d, provider: anthropic}
  - {name: e, provider: groq, api_key: "${NOPE}"}
groups:
  auto: {members: [x]}
  g: {members: [zz/y, h], fallback: h}
  h: {members: [c/x], fallback: g}
fallbacks: {x: [x, task/y]}
database_url: mysql://x
"""
    )
    assert places(found) == [
        ("server.hots", 2),
        ("server.port", 2),
        ("backends[0].name", 4),
        ("backends[0].provider", 4),
        ("backends[1].slots", 5),
        ("backends[2].url", 6),
        ("backends[3].api_key", 7),
        ("backends[3].name", 7),
        ("backends[4].api_key", 8),
        ("groups.auto", 10),
        ("groups.g.fallback", 11),
        ("groups.g.members[0]", 11),
        ("groups.g.members[1]", 11),
        ("fallbacks.x[0]", 13),
        ("fallbacks.x[1]", 13),
        ("database_url", 14),
    ]


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("server: {port: true}", "server.port", "whole number"),
        ("server: {port: '80'}", "server.port", "whole number"),
        ("server: {port: 65536}", "server.port", "at most 65535, not 65536"),
        ("server: {workers: 1.5}", "server.workers", "whole number"),
        ("server: {max_body_mb: 0}", "server.max_body_mb", "at least 1"),
        ("server: 80", "server", "a mapping of keys"),
        ("routing: {heartbeat_interval: 0}", "routing.heartbeat_interval", "above 0"),
        ("routing: {stratgy: smart}", "routing.stratgy", "Did you mean strategy?"),
        ("routing: {strategy: clever}", "routing.strategy", "'smart', 'priority'"),
        ("metrics: {enabled: on}", "metrics.enabled", "true or false"),
        ("builtin_model: maybe", "builtin_model", "'auto', 'on' or 'off'"),
        ("data_dir: 3", "data_dir", "a folder"),
        ("redis_url: redis", "redis_url", "redis://"),
        ("storage: {retention_days: 0}", "storage.retention_days", "at least 1"),
        ("storage: {responses: {public: some}}", "storage.responses.public", "'full', 'metadata' or 'none'"),
        ("bakends: []", "bakends", "Did you mean backends?"),
        ("backends: {a: 1}", "backends", "a list"),
        ("backends: [a]", "backends[0]", "a mapping of keys"),
        ("backends: [{name: a, provider: fake, url: localhost}]", "backends[0].url", "http://"),
        ("backends: [{name: a, provider: fake, url: 'ftp://x'}]", "backends[0].url", "http://"),
        ("backends: [{name: a, provider: fake, url: 'http://x:0x1'}]", "backends[0].url", "http://"),
        ("backends: [{name: a, provider: fake, url: 'http://u:p@x'}]", "backends[0].url", "api_key"),
        ("backends: [{name: a, provider: fake, url: 'http://x/?key=1'}]", "backends[0].url", "no ?"),
        ('backends: [{name: a, provider: fake, url: "http://x/\\r\\nA: b"}]', "backends[0].url", "whole address"),
        ("backends: [{name: a, provider: fake, models: []}]", "backends[0].models", "at least one"),
        ("backends: [{name: a, provider: fake, models: [1]}]", "backends[0].models", "names"),
        ("backends: [{name: a, provider: fake, models: [x, x]}]", "backends[0].models", "twice"),
        ("backends: [{name: a, provider: fake, models: [task/x]}]", "backends[0].models.task/x", "reserved"),
        ("backends: [{name: a, provider: fake, type: fake}]", "backends[0].type", "no such key"),
        ("backends: [{name: council, provider: fake}]", "backends[0].name", "reserved"),
        ("backends: [{name: builtin, provider: fake}]", "backends[0].name", "built-in"),
        ("backends: [{name: a, provider: fake, locality: here}]", "backends[0].locality", "'local' or 'cloud'"),
        ("backends: [{name: a, provider: fake, timeouts: {idle: -1}}]", "backends[0].timeouts.idle", "above 0"),
        ("backends: [{name: a, provider: llama_cpp}]", "backends[0].models", "is needed"),
        ("groups: {g: {members: []}}", "groups.g.members", "must not be empty"),
        ("groups: {g: {members: [{model: a, weight: 0}]}}", "groups.g.members[0].weight", "at least 1"),
        ("groups: {'g:latest': {members: [a]}}", "groups.g:latest", "goes without saying"),
        ("{groups: {a/b: {members: [x]}}, backends: [{name: a, provider: fake}]}", "groups.a/b", "pinned"),
        ("fallbacks: {a: b}", "fallbacks.a", "a list"),
        ("[1]", "", "a mapping of keys"),
        ("a: [", "", "not YAML"),
    ],
)
def test_what_is_wrong_is_said_in_words_and_with_its_place(text: str, place: str, words: str) -> None:
    """One sentence that says what to write instead."""
    found = errors(text)
    assert place in [error.path for error in found]
    assert words in " ".join(error.message for error in found if error.path == place)
    assert all(error.line is not None for error in found)


def test_type_is_accepted_for_provider() -> None:
    """As users of other gateways write it."""
    assert settings("backends: [{name: a, type: fake}]").backends[0].provider == "fake"


def test_a_mapping_of_models_renames_them() -> None:
    """Public name first."""
    made = settings("backends: [{name: a, provider: fake, models: {small: 'qwen3:4b'}}]")
    assert made.backends[0].models == {"small": "qwen3:4b"}


def test_secrets_are_shown_nowhere() -> None:
    """Not in the settings' own words, not in what `config show` prints, not in errors."""
    environ = {
        "K": "sk-canary",
        "JUNTO_ADMIN_KEY": "admin-canary-0123456789",
        "JUNTO_SECRETS_KEY": "canary",
        "OPENAI_API_KEY": "canary",
    }
    text = (
        "{backends: [{name: a, provider: groq, api_key: '${K}'}], database_url: 'postgresql://u:canary@db/junto?password=canary',"
        " redis_url: 'redis://:canary@cache:6379/0'}"
    )
    made = settings(text, environ)
    shown = f"{made} {made!r} {made.redacted()}"
    assert "canary" not in shown
    assert made.redacted()["database_url"] == "postgresql://********@db/junto"
    assert made.backends[0].api_key == Secret("sk-canary")
    wrong = {"K": "two canaries", "PORT": "canary", "REDIS_URL": "canary", "OPENAI_API_KEY": "can ary"}
    text = "{server: {port: '${PORT}'}, routing: {strategy: '${PORT}'}, backends: [{name: a, provider: groq, api_key: '${K}'}]}"
    said = " ".join(str(error) for error in errors(text, wrong))
    assert "canar" not in said
    assert "can ary" not in said


def test_a_file_that_cannot_be_read_is_an_error_that_names_it(tmp_path: Path) -> None:
    """Missing, not text, not UTF-8, or endless."""
    file = tmp_path / "junto.yaml"
    for content in (None, b"\xff", b"a: \x00", b"# " + b"x" * 2_000_000):
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(ConfigErrors, match=r"junto\.yaml"):
            load(file, {}, ServeOptions(), known_providers=KNOWN)


def test_the_file_is_the_one_given_else_the_one_in_the_environment_else_the_usual_one(tmp_path: Path) -> None:
    """And with none of them there are the defaults."""

    def port(path: Path | None, environ: dict[str, str], folder: Path = tmp_path) -> tuple[int, Path | None]:
        made = load(path, environ, ServeOptions(), known_providers=KNOWN, folder=folder)
        return made.server.port, made.config_file

    given, named, usual = tmp_path / "given.yaml", tmp_path / "named.yaml", tmp_path / "junto.yaml"
    for number, file in enumerate((given, named, usual), start=1):
        file.write_text(f"server: {{port: {number}}}")
    environ = {"JUNTO_CONFIG": str(named)}
    assert port(given, environ) == (1, given)
    assert port(None, environ) == (2, named)
    assert port(None, {}) == (3, usual)
    assert port(None, {}, tmp_path / "nowhere") == (11430, None)


def test_prices_are_looked_for_beside_the_file_then_in_the_data_folder(tmp_path: Path) -> None:
    """The first that is there."""
    folder, data = tmp_path / "etc", tmp_path / "data"
    folder.mkdir()
    data.mkdir()
    file = folder / "junto.yaml"
    file.write_text("")
    environ = {"JUNTO_DATA_DIR": str(data)}

    def found() -> Path | None:
        return load(file, environ, ServeOptions(), known_providers=KNOWN).pricing_file

    assert found() is None
    (data / "pricing.yaml").write_text("")
    assert found() == data / "pricing.yaml"
    (folder / "pricing.yaml").write_text("")
    assert found() == folder / "pricing.yaml"


def test_the_home_folder_is_written_as_in_a_shell() -> None:
    """`~/junto`, by the environment's HOME."""
    assert settings("data_dir: ~/junto", {"HOME": "/home/ada"}).data_dir == Path("/home/ada/junto")


def test_a_short_admin_key_is_worth_a_warning() -> None:
    """It is still taken: whoever sets it may have a reason."""
    made = settings("", {"JUNTO_ADMIN_KEY": "short\n"})
    assert made.admin_key == Secret("short")
    assert any("JUNTO_ADMIN_KEY" in warning for warning in made.warnings)
