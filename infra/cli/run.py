"""``petrosa run``."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer


def run(
    feed: Annotated[
        str,
        typer.Option(envvar="FEED", help="`simulate` publishes a simulated market; `none` waits for your producer."),
    ] = "simulate",
    stores: Annotated[
        str,
        typer.Option(
            envvar="STORES",
            help="`embedded` stores in files; `servers` in MongoDB and MySQL, which are started unless their address "
            "is given.",
        ),
    ] = "embedded",
    isolate: Annotated[
        bool, typer.Option("--isolate", help="Run every function in a process of its own instead of sharing few.")
    ] = False,
    project: Annotated[
        Path | None,
        typer.Option(
            help="Folder with `functions/`, `triggers/` and `infra/` (default: this code's).",
            exists=True,
            file_okay=False,
            hidden=True,
        ),
    ] = None,
) -> None:
    """Start the whole system and show it; Ctrl-C stops it.

    Settings by environment: `PETROSA_HTTP_PORT` (8080), `PETROSA_NATS_PORT` (4222, where producers publish),
    `NATS_URL`, `MONGODB_URL`, `MYSQL_URI` (use that server, start none), `PETROSA_MONGODB_PORT`, `PETROSA_MYSQL_PORT`
    (where started ones listen, default any free port), `PETROSA_DATA_DIR` (state folder, default `.petrosa/<feed>`,
    with servers `.petrosa/<feed>-servers`), `PETROSA_MARKET` (`um` or `spot`), `PETROSA_CLOCK` (an instant to start the
    clock at).

    Exit status: 0 after a stop, 1 when a part could not be started, 2 when a setting is wrong.
    """
    from rich.console import Console

    from common.errors import ConfigurationError
    from infra.local.runner.configuration import run_options
    from infra.local.runner.run import run as run_system
    from infra.local.runner.state_folder import held_state_folder

    try:
        options = run_options(feed, isolate=isolate, stores=stores, project_dir=project)
        with held_state_folder(options.data_dir, options.mark) as folder:
            code = asyncio.run(run_system(options, folder, Console()))
    except ConfigurationError as error:
        typer.echo(f"petrosa run: {error}", err=True)
        raise typer.Exit(2) from error
    raise typer.Exit(code)
