"""HTTPS_PROXY as people write it, and what is wrong with it in words that name it."""

from __future__ import annotations

import pytest

from junto.bootstrap.fleet import make_provider
from junto.settings.model import BackendSettings

CLOUD = BackendSettings(name="cloud", provider="openai")


def test_a_proxy_without_a_scheme_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    assert make_provider(CLOUD).name == "cloud"


def test_a_proxy_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://someone:secret@proxy.example:3128")
    with pytest.raises(ValueError, match="HTTPS_PROXY") as caught:
        make_provider(CLOUD)
    assert "secret" not in str(caught.value)
