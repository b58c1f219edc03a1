"""How commands come by the configuration, and how its errors are told."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import typer

from junto.bootstrap.known import known_providers
from junto.core.document import ConfigErrors
from junto.settings.load import load

if TYPE_CHECKING:
    from pathlib import Path

    from junto.settings.model import ServeOptions, Settings


def read(config: Path | None, options: ServeOptions) -> Settings:
    """The settings as they are on disk and in the environment now; raises ConfigErrors."""
    return load(config, os.environ, options, known_providers=known_providers())


def load_or_exit(config: Path | None, options: ServeOptions) -> Settings:
    """The settings, or every error in them on standard error and exit code 2."""
    try:
        return read(config, options)
    except ConfigErrors as refused:
        for error in refused.errors:
            typer.secho(f"{refused.source or 'configuration'}: {error}", fg=typer.colors.RED, err=True)
        raise typer.Exit(2) from None
