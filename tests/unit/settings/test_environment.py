"""Backends that the environment makes, and the Ollama server that is looked for."""

import pytest

from junto.core.secret import Secret
from junto.settings.environment import is_loopback, ollama_url
from tests.unit.settings.loading import errors, places, settings

KEYS = {"OPENAI_API_KEY": "sk-o", "GROQ_API_KEY": "sk-g\n", "ANTHROPIC_API_KEY": ""}


def test_a_key_in_the_environment_makes_that_cloud_backend() -> None:
    """Named by the vendor; an empty variable is none."""
    made = settings("", KEYS).backends
    assert [(one.name, one.provider, one.api_key, one.models) for one in made] == [
        ("openai", "openai", Secret("sk-o"), None),
        ("groq", "groq", Secret("sk-g"), None),
    ]


@pytest.mark.parametrize(
    ("backend", "expected"),
    [
        ("{name: mine, provider: openai}", ["mine"]),
        ("{name: mine, provider: openai, url: 'https://api.openai.com/v1/'}", ["mine"]),
        ("{name: rack, provider: openai, url: 'http://10.0.0.5/v1'}", ["rack", "openai"]),
        ("{name: rack, provider: openai, url: 'http://10.0.0.5/v1', api_key: '${OPENAI_API_KEY}'}", ["rack"]),
        ("{name: openai, provider: fake}", ["openai", "openai-2"]),
        ("{name: mine, provider: fake}", ["mine", "openai"]),
    ],
)
def test_unless_the_file_speaks_of_the_provider_or_uses_the_variable(backend: str, expected: list[str]) -> None:
    """A server that only speaks OpenAI's language is not OpenAI."""
    made = settings(f"backends: [{backend}]", {"OPENAI_API_KEY": "sk-o"}).backends
    assert [one.name for one in made] == expected


def test_a_proxy_of_the_file_is_not_gone_around() -> None:
    """A provider at another address is that provider, so no direct one appears beside it."""
    text = "backends: [{name: proxied, provider: anthropic, url: 'https://proxy.example'}]"
    assert [one.name for one in settings(text, {"ANTHROPIC_API_KEY": "k"}).backends] == ["proxied"]


def test_a_backend_without_a_key_takes_its_providers_and_only_at_home() -> None:
    """A provider's key goes to its own origin and nowhere else."""
    text = """
backends:
  - {name: home, provider: openai}
  - {name: away, provider: openai, url: 'http://10.0.0.5/v1'}
  - {name: fake-home, provider: openai, url: 'https://api.openai.com.example/v1'}
  - {name: own, provider: openai, api_key: mine}
"""
    made = settings(text, {"OPENAI_API_KEY": "sk-o"}).backends
    assert [one.api_key for one in made] == [Secret("sk-o"), None, None, Secret("mine")]


def test_a_cloud_account_without_any_key_is_refused() -> None:
    """Unless it is switched off."""
    assert places(errors("backends: [{name: a, provider: anthropic}]")) == [("backends[0].api_key", 1)]
    assert settings("backends: [{name: a, provider: anthropic, enabled: false}]").backends


def test_a_key_that_would_break_a_header_is_refused_by_the_variables_name() -> None:
    """And not shown."""
    found = errors("", {"OPENAI_API_KEY": "sk\r\nX: y"})
    assert places(found) == [("OPENAI_API_KEY", None)]
    assert "X: y" not in str(found)


def test_the_ollama_server_to_look_for_is_the_environments_or_the_usual_one() -> None:
    """None when the file has one."""
    assert [(one.name, one.url) for one in settings().ollama_candidates] == [("ollama", "http://127.0.0.1:11434")]
    elsewhere = settings("backends: [{name: ollama, provider: fake}]", {"OLLAMA_HOST": "gpu:1234"}).ollama_candidates
    assert [(one.name, one.url) for one in elsewhere] == [("ollama-2", "http://gpu:1234")]
    assert settings("backends: [{name: desk, provider: ollama}]", {"OLLAMA_HOST": "gpu"}).ollama_candidates == ()


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:11434"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        (":8080", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("gpu.lan", "http://gpu.lan:11434"),
        ("http://gpu.lan", "http://gpu.lan:80"),
        ("https://gpu.lan", "https://gpu.lan:443"),
        ("http://gpu.lan:11434/", "http://gpu.lan:11434"),
        ("https://gpu.lan:1/ollama/", "https://gpu.lan:1/ollama"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("::1", "http://[::1]:11434"),
        ("[::]", "http://[::1]:11434"),
        ("http://u:p@gpu", None),
        ("ftp://gpu", None),
        ("gpu:port", None),
        ("a b", None),
        ("gpu\r\n", None),
    ],
)
def test_ollama_host_is_read_as_ollamas_own_tools_read_it(written: str, url: str | None) -> None:
    """A server that listens everywhere is asked here."""
    assert ollama_url(written) == url


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("localhost", True),
        ("::1", True),
        ("[::1]", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example", False),
        ("", False),
    ],
)
def test_loopback_is_what_only_this_machine_can_reach(host: str, expected: bool) -> None:  # noqa: FBT001
    """Names other than localhost are not trusted to be it."""
    assert is_loopback(host) is expected
