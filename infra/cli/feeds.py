"""``petrosa replay`` and ``petrosa simulate``: feeds that publish to NATS."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

from common.signals import stop_on_signals

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from common.settings import Settings
    from triggers.feeds.publisher import Publisher
    from triggers.feeds.recordings.files import Choice, RecordedFile
    from triggers.feeds.recordings.recorded import FileReport
    from triggers.feeds.simulate import Simulation, SimulationPlan

app = typer.Typer()

_STOPPED = 130
_FLUSH_ON_STOP_S = 3.0
_Market = Literal["um", "spot"]

T = TypeVar("T")

NatsOption = Annotated[str | None, typer.Option("--nats", help="NATS server (default: `NATS_URL`).", metavar="URL")]


@app.command()
def replay(
    paths: Annotated[
        list[Path], typer.Argument(help="Recorded files, or folders of them.", exists=True, metavar="PATH…")
    ],
    *,
    speed: Annotated[
        str, typer.Option(help="`max`, or how many times the recorded pace; all files then share one time line.")
    ] = "max",
    nats: NatsOption = None,
    symbol: Annotated[str | None, typer.Option(help="Symbol, in place of what the file names say.")] = None,
    timeframe: Annotated[
        str | None, typer.Option(help="Interval of candles, in place of what the file names say.")
    ] = None,
    market: Annotated[
        str | None, typer.Option(help="Market of the files (`um`, `spot`), if they are taken wrongly.")
    ] = None,
) -> None:
    """Publish recorded market data, each message until it is acknowledged.

    Reads candles (12, 9 or 6 columns), trades, aggregated trades and funding rates as CSV, and recorded WebSocket
    messages, one a line; plain, `.gz` or `.zip`. Depth differences are played through a local order book from the REST
    snapshot beside them. Publishing a file twice gives the same messages with the same ids.

    Exit status: 0 when every file was read, 1 when one could not be, 2 for a wrong option, 130 when stopped.
    """
    from rich.console import Console

    from common.errors import ConfigurationError, InvalidRequest
    from common.symbols import parse_symbol
    from common.timeframes import Timeframe
    from triggers.feeds.recordings.files import Choice

    console = Console()
    try:
        settings = _settings(nats)
        choice = Choice(
            deployment_market=settings.petrosa_market,
            market=_market(market),
            symbol=parse_symbol(symbol, field="--symbol") if symbol else None,
            timeframe=Timeframe.parse(timeframe, field="--timeframe") if timeframe else None,
        )
        files = _recorded_files(paths, choice)
        code = asyncio.run(_replay(settings, files, _speed(speed), console))
    except (ConfigurationError, InvalidRequest) as error:
        typer.echo(f"petrosa replay: {error}", err=True)
        raise typer.Exit(2) from error
    raise typer.Exit(code)


@app.command()
def simulate(
    *,
    nats: NatsOption = None,
    seed: Annotated[int, typer.Option(help="The market; another seed is another market.")] = 1,
    pairs: Annotated[
        str | None, typer.Option(help="Comma-separated (default: those of `SUPPORTED_PAIRS` that it knows).")
    ] = None,
    rate: Annotated[
        float,
        typer.Option(
            min=0.01, help="Books, tickers, mark prices and open candles so many times as often; trades stay."
        ),
    ] = 1.0,
    history: Annotated[bool, typer.Option("--history/--no-history", help="Publish the past first.")] = True,
    state: Annotated[
        Path | None, typer.Option(help="State folder (default: `PETROSA_DATA_DIR`).", file_okay=False)
    ] = None,
) -> None:
    """Publish a simulated market: its history first, then the present, until stopped.

    The market follows from its seed and the time, so a second start goes on with the same one and publishes what is
    missing since the first. `feed.json` in the state folder says how far it came.

    Exit status: 0 when stopped, 1 when the last messages were not acknowledged, 2 for a wrong option or setting.
    """
    from rich.console import Console

    from common.errors import ConfigurationError
    from triggers.feeds.market.pairs import PAIRS
    from triggers.feeds.simulate import SimulationPlan

    try:
        settings = _settings(nats)
        known = ",".join(pair for pair in settings.supported_pairs if pair in PAIRS)
        names = tuple(dict.fromkeys(name.strip().upper() for name in (pairs or known).split(",") if name.strip()))
        plan = SimulationPlan(seed, names, settings.timeframes, settings.petrosa_market, rate, history)
        code = asyncio.run(_simulate(settings, plan, state or settings.petrosa_data_dir, Console()))
    except ConfigurationError as error:
        typer.echo(f"petrosa simulate: {error}", err=True)
        raise typer.Exit(2) from error
    raise typer.Exit(code)


def _settings(nats: str | None) -> "Settings":
    """Read the settings, and log what goes wrong on standard error."""
    from common.settings import load_settings
    from common.telemetry.logs import configure_logging

    settings = load_settings(nats_url=nats) if nats else load_settings()
    configure_logging(settings, service="feed")
    logging.getLogger("nats").setLevel(logging.CRITICAL)  # the publisher says itself that it waits for the server
    if sys.stderr.isatty():
        logging.getLogger("triggers").setLevel(logging.ERROR)  # the progress bar says the rest
    return settings


def _recorded_files(paths: list[Path], choice: "Choice") -> "list[RecordedFile]":
    from common.errors import InvalidRequest
    from triggers.feeds.recordings.files import RecordedFile
    from triggers.feeds.recordings.sources import find_recordings

    files = [RecordedFile(file, choice) for path in paths for file in find_recordings(path)]
    if not files:
        raise InvalidRequest("PATH", "recorded files (.csv, .ndjson, .gz, .zip)", [str(path) for path in paths])
    return files


def _market(text: str | None) -> _Market | None:
    from common.errors import ConfigurationError

    if text is None or text in {"um", "spot"}:
        return text  # type: ignore[return-value]  # narrowed by the set
    raise ConfigurationError(f"--market: expected um or spot, was {text!r}")


def _speed(text: str) -> float | None:
    from common.errors import ConfigurationError

    if text == "max":
        return None
    with contextlib.suppress(ValueError):
        if 0 < (speed := float(text.removesuffix("x"))) < float("inf"):
            return speed
    raise ConfigurationError(f"--speed: expected max or a positive number, was {text!r}")


async def _replay(settings: "Settings", files: "list[RecordedFile]", speed: float | None, console: "Console") -> int:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from triggers.feeds.publisher import open_publisher
    from triggers.feeds.replay import replay as publish_recordings

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with stop_on_signals() as stop, Progress(*columns, console=console) as progress:
        task = progress.add_task("waiting for NATS", total=sum(file.size for file in files))

        async def work() -> "tuple[Publisher, list[FileReport]]":
            async with open_publisher(settings) as publisher:

                def show() -> None:
                    counts = publisher.counts
                    text = f"{counts.acknowledged:,} of {counts.published:,} acknowledged"
                    progress.update(
                        task,
                        completed=sum(file.position for file in files),
                        description=text if publisher.connected else f"waiting for NATS ({text})",
                    )

                reports = await publish_recordings(files, publisher, speed=speed, stop=stop, on_progress=show)
                return publisher, reports

        outcome = await _until_stopped(work(), stop)
    if outcome is not None:
        _summarise(*outcome, console)
    if stop.is_set():
        console.print("stopped before the end" if outcome else "stopped: not all messages were acknowledged")
        return _STOPPED
    return int(any(file.report.failure for file in files))


async def _simulate(settings: "Settings", plan: "SimulationPlan", folder: Path, console: "Console") -> int:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from common.clock import clock_from
    from triggers.feeds.publisher import open_publisher
    from triggers.feeds.simulate import Simulation
    from triggers.feeds.simulation_state import SimulationState

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    state = SimulationState(folder)
    with stop_on_signals() as stop, Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("waiting for NATS", total=None)

        async def work() -> bool:
            async with open_publisher(settings) as publisher:
                simulation = Simulation(plan, publisher, clock_from(settings.petrosa_clock), state)
                await simulation.run(stop, lambda: _show(progress, task, simulation, publisher))
            return True

        finished = await _until_stopped(work(), stop)
    return 0 if finished else 1


def _show(progress: "Progress", task: "TaskID", simulation: "Simulation", publisher: "Publisher") -> None:
    live = simulation.phase == "live"
    progress.update(
        task,
        description=simulation.phase if publisher.connected else "waiting for NATS",
        completed=simulation.published,
        total=simulation.published if live else simulation.total,
    )


async def _until_stopped(work: Coroutine[object, object, T], stop: asyncio.Event) -> T | None:
    """Return what the work gives; None when it does not end in time after a stop, because NATS is away."""
    task = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        await asyncio.wait({task}, timeout=_FLUSH_ON_STOP_S)
    stopping.cancel()
    if task.done():
        return task.result()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return None


def _summarise(publisher: "Publisher", reports: "list[FileReport]", console: "Console") -> None:
    from rich.table import Table

    table = Table(title="replayed")
    for heading in ("file", "kind", "messages", "left out"):
        table.add_column(heading, overflow="fold", justify="right" if heading == "messages" else "left")
    for report in reports:
        left_out = "\n".join(f"{count:,} {reason}" for reason, count in report.skipped.most_common())
        kinds = "\n".join(report.messages) or report.layout
        numbers = "\n".join(f"{count:,}" for count in report.messages.values()) or "0"
        table.add_row(report.path.name, kinds, numbers, left_out)
    console.print(table)
    for report in reports:
        for line in (*report.named_lines, *report.notes):
            console.print(f"{report.path.name}: {line}", markup=False)
        if report.failure:
            console.print(f"{report.path.name}: could not be read: {report.failure}", style="red", markup=False)
    counts = publisher.counts
    console.print(
        f"{counts.published:,} published, {counts.acknowledged:,} acknowledged, of these {counts.duplicates:,} "
        f"already in the stream; {counts.resent:,} sent again"
    )
