"""docs/councils.md: it has every option of `junto council`, and every step that a council tells."""

import ast
import re
from pathlib import Path

import typer

from junto.cli.main import app

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "councils.md").read_text("utf-8")


def section(heading: str) -> str:
    return TEXT.split(f"## {heading}\n")[1].split("\n## ")[0]


def test_every_option_of_the_command_is_explained_and_no_other() -> None:
    """But for those that every command has that asks a running Junto."""
    [command] = [info for info in app.registered_commands if getattr(info.callback, "__name__", "") == "council"]
    single = typer.Typer()
    single.command()(command.callback)  # type: ignore[type-var]
    given = {name for param in typer.main.get_command(single).params for name in param.opts if name.startswith("-")}
    rows = re.findall(r"^\| (`-[^|]+) \|", section("In the terminal"), re.MULTILINE)
    written = {name for row in rows for name in re.findall(r"`(-[a-z-]+)`", row)}
    assert written == given - {"--url", "--key", "--install-completion", "--show-completion"}


def test_every_step_that_is_told_has_a_row_and_no_other() -> None:
    """Their names are in one file."""
    source = (ROOT / "src" / "junto" / "council" / "telling.py").read_text("utf-8")
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    told = {
        str(call.args[1].value)
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == "_told" and isinstance(call.args[1], ast.Constant)
    }
    assert "convened" in told
    assert set(re.findall(r"^\| `([a-z]+)` \|", section("While it sits"), re.MULTILINE)) - {"event"} == told
