"""A group of commands as people try it: whole sentences in its list, `help`, the nearest name."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from typer.core import TyperGroup

if TYPE_CHECKING:
    from typer._click import Command, Context, HelpFormatter

HELP = "help"


class CommandGroup(TyperGroup):
    """Commands under one name; those that people want first are listed `first`."""

    first: tuple[str, ...] = ()

    def list_commands(self, ctx: Context) -> list[str]:
        """Names of the commands in the order in which they are listed."""
        names = super().list_commands(ctx)
        wanted = [name for name in self.first if name in names]
        return wanted + [name for name in names if name not in wanted]

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        """List the commands; a sentence that is longer than the line goes on in the next one."""
        rows = []
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                rows.append((name, _first_sentence(command)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def resolve_command(
        self, ctx: Context, args: list[str]
    ) -> tuple[str | None, Command | None, list[str]]:
        """Find the command that is meant; `help COMMAND` is `COMMAND --help`."""
        if args[0] == HELP and HELP not in self.commands:
            if args[1:]:
                return self.resolve_command(ctx, [*args[1:], "--help"])
            print(ctx.get_help())
            ctx.exit()
        if args[0] not in self.commands and not args[0].startswith("-"):
            ctx.fail(f"No such command {args[0]!r}. {self._advice(ctx, args[0])}")
        return super().resolve_command(ctx, args)

    def _advice(self, ctx: Context, typed: str) -> str:
        seen = [name for name, command in self.commands.items() if not command.hidden]
        near = get_close_matches(typed, seen)
        if near:
            return f"Did you mean {' or '.join(near)}?"
        return f"{ctx.command_path} -h lists them."


def _first_sentence(command: Command) -> str:
    """What a command does; it is the docstring's first paragraph, however long."""
    said = (command.short_help or command.help or "").strip().split("\n\n")[0]
    return " ".join(said.split()).partition(". ")[0].removesuffix(".") + "."
