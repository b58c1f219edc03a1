"""What settings must know of the providers, told by the one who knows both."""

from __future__ import annotations

from junto.providers.registry import VENDORS, Family
from junto.settings.model import KnownProvider


def known_providers() -> dict[str, KnownProvider]:
    """Every provider by name."""
    return {
        vendor.name: KnownProvider(
            url=vendor.url,
            key_variable=vendor.key_variable,
            needs_url=vendor.url is None and vendor.family is Family.OPENAI,
            needs_models=vendor.family is Family.LLAMA_CPP,
        )
        for vendor in VENDORS.values()
    }
