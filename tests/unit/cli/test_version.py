"""`junto --version` says what `junto version` says, and nothing else happens."""

from __future__ import annotations

from typer.testing import CliRunner

from junto.cli.main import app


def test_the_option_and_the_command_say_the_same() -> None:
    option, command = (CliRunner().invoke(app, [word]) for word in ("--version", "version"))
    assert (option.exit_code, command.exit_code) == (0, 0)
    assert option.output == command.output
    assert option.output.startswith("junto ")


def test_the_option_ends_the_command_before_another_begins() -> None:
    result = CliRunner().invoke(app, ["--version", "jobs", "list"])
    assert (result.exit_code, result.output.count("\n")) == (0, 1)
