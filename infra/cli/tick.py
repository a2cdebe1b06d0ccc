"""``petrosa tick``."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from common.events import Event


def tick(
    schedule: Annotated[str, typer.Argument(help="Name of the schedule, for example `analytics`.")],
    url: Annotated[
        str | None, typer.Option(help="Address of the broker (default: that of the running system).")
    ] = None,
) -> None:
    """Fire a schedule of the running system by hand.

    The system is found through its state folder (`PETROSA_DATA_DIR`, or the only running one under `.petrosa/`). A
    slot that was planned already is not planned again.

    Exit status: 0 when the broker took the tick, 1 when not, 2 for an unknown schedule or no running system.
    """
    from common.clock import clock_from
    from common.errors import ConfigurationError, SinkUnavailable
    from infra.local.runner.configuration import run_settings
    from infra.local.runner.first_ticks import tick as tick_event
    from infra.local.runner.run_record import find_running

    try:
        record = find_running(run_settings().petrosa_data_dir)
        event = tick_event(schedule, record.source_of(schedule), clock_from(record.clock).now_ms())
        status = asyncio.run(_post(event, url or record.broker_url))
    except ConfigurationError as error:
        typer.echo(f"petrosa tick: {error}", err=True)
        raise typer.Exit(2) from error
    except SinkUnavailable as error:
        typer.echo(f"petrosa tick: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(f"{schedule}: {status}")


async def _post(event: "Event", url: str) -> str:
    from common.events.sink import Sink

    sink = Sink(url)
    try:
        await sink.emit(event)
    finally:
        await sink.close()
    return f"taken by the broker at {url} (event {event.id})"
