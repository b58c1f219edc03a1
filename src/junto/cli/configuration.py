"""How commands come by the configuration, and how its errors are told."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import typer

from junto.cli.output import complain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from junto.core.document import ConfigErrors
    from junto.settings.model import ServeOptions, Settings

REFUSED = 2  # the exit code of a command whose configuration is wrong


def read(config: Path | None, options: ServeOptions, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings as they are on disk and in the environment now; raises ConfigErrors."""
    from junto.bootstrap.known import known_providers
    from junto.settings.load import load

    return load(config, environ, options, known_providers=known_providers())


def load_or_exit(config: Path | None, options: ServeOptions, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings, or every error in them and in the prices on standard error and exit code 2."""
    from junto.catalog.price_files import read_prices
    from junto.core.document import ConfigErrors

    try:
        settings = read(config, options, environ)
        read_prices(settings.pricing_file)
    except ConfigErrors as refused:
        complain("\n".join(lines_of(refused)))
        raise typer.Exit(REFUSED) from None
    return settings


def warnings_of(settings: Settings) -> list[str]:
    """What is worth a word: the settings' own warnings, and keys that this version reads and does not serve yet."""
    unserved = (
        (settings.secrets_key, "JUNTO_SECRETS_KEY is not used by this version: stored bodies are not encrypted."),
    )
    return [*settings.warnings, *(sentence for is_set, sentence in unserved if is_set)]


def lines_of(refused: ConfigErrors) -> list[str]:
    """A line for each error: file, line, path, what is wrong."""
    return [f"{refused.source or 'configuration'}: {error}" for error in refused.errors]
