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
    """What is worth a word: the settings' own warnings, what this version does not do, what several processes would miss."""
    found = [*settings.warnings]
    url = settings.database_url
    if url is not None and not url.reveal().startswith("sqlite"):
        found += [sentence for is_set, sentence in _shared(settings) if not is_set]
    return found


def _shared(settings: Settings) -> tuple[tuple[object, str], ...]:
    """What all processes on one Postgres have to be given alike, and what they do without."""
    return (
        (settings.admin_key, "JUNTO_ADMIN_KEY is not set: each process on this database has an admin key of its own."),
        (
            settings.secrets_key,
            "JUNTO_SECRETS_KEY is not set: each process on this database signs webhooks with a secret of its own.",
        ),
        (
            settings.redis_url,
            "redis_url is not set: each process on this database counts limits on its own, and hears of jobs late.",
        ),
    )


def lines_of(refused: ConfigErrors) -> list[str]:
    """A line for each error: file, line, path, what is wrong."""
    return [f"{refused.source or 'configuration'}: {error}" for error in refused.errors]
