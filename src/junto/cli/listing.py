"""A group of commands that lists when none of them is named."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


class ListsByDefault(TyperGroup):
    """`junto responses --limit 5` is `junto responses list --limit 5`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in self.get_help_option_names(ctx)):
            args = ["list", *args]
        return super().parse_args(ctx, args)
