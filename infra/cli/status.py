"""``petrosa status``."""

import asyncio
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from infra.local.runner.observation import Figures
    from infra.local.runner.run_record import RunRecord


def status() -> None:
    """Show the running system once: parts, rates, stored rows.

    Exit status: 0 when it is ready, 1 when not, 2 when none runs.
    """
    from rich.console import Console

    from common.errors import ConfigurationError
    from infra.local.runner.configuration import run_settings
    from infra.local.runner.run_record import find_running
    from infra.local.runner.view import dashboard

    try:
        record = find_running(run_settings().petrosa_data_dir)
        record, figures = asyncio.run(_look(record))
    except ConfigurationError as error:
        typer.echo(f"petrosa status: {error}", err=True)
        raise typer.Exit(2) from error
    console = Console()
    console.print(dashboard(record, figures, console.width))
    raise typer.Exit(0 if record.ready else 1)


async def _look(record: "RunRecord") -> "tuple[RunRecord, Figures]":
    """Look twice, a second apart, because rates need two looks; and ask whether the system is ready."""
    import httpcore
    import msgspec

    from common.clock import clock_from
    from infra.local.runner.observation import READINESS, READY_STATUSES, Observer, StoreReader, get, settings_of

    stores = StoreReader(settings_of(record), clock_from(record.clock))
    async with httpcore.AsyncConnectionPool() as pool:
        observer = Observer(stores, pool)
        try:
            await observer.look(record)
            await asyncio.sleep(1)
            figures = await observer.look(record)
        finally:
            await stores.close()
        answer, _ = await get(pool, f"{record.url}{READINESS}")
    parts_ready = all(part.state in ("ready", "ended") for part in record.parts.values())
    return msgspec.structs.replace(record, ready=parts_ready and answer in READY_STATUSES), figures
