"""The entry point: all commands in one application."""

import typer

from infra.cli import feeds, run, status, tick

app = typer.Typer(
    name="petrosa",
    help="Petrosa Data Manager on one machine: `petrosa run` starts the whole system, the other commands work on it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command()(run.run)
app.command()(status.status)
app.command()(tick.tick)
app.add_typer(feeds.app)


if __name__ == "__main__":
    app(prog_name="petrosa")
