"""The terminal view: a live table on a terminal, a plain line every ten seconds elsewhere."""

from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from types import TracebackType
from typing import Final, Protocol, Self

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from common.models.families import Family
from infra.local.runner.observation import RUNNER, Figures, Usage
from infra.local.runner.run_record import PartRecord, RunRecord

_STATE_STYLES: Final = {"ready": "green", "starting": "yellow", "not ready": "bold red", "down": "bold red"}
_NONE: Final = "–"
_WIDE: Final = 112  # from here on the two tables stand side by side


class View(AbstractContextManager["View"], Protocol):
    """Shows a running system."""

    @property
    def interval_s(self) -> float:
        """How often it wants to be shown something."""
        ...

    def show(self, record: RunRecord, figures: Figures) -> None:
        """Show the system as it is now."""
        ...

    def note(self, text: str) -> None:
        """Say something that happened."""
        ...


def view_for(console: Console) -> View:
    """Return the view that suits the console."""
    return LiveView(console) if console.is_terminal else PlainView(console)


class LiveView:
    """A table that renews itself; what happens scrolls by above it."""

    interval_s = 2.0

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        """Begin; nothing is shown yet."""
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the table."""
        self._live.stop()

    def show(self, record: RunRecord, figures: Figures) -> None:
        """Renew the table."""
        self._live.update(dashboard(record, figures, self._console.width), refresh=True)

    def note(self, text: str) -> None:
        """Print above the table."""
        self._console.print(text, markup=False, highlight=False)


class PlainView:
    """One line at a time, for logs."""

    interval_s = 10.0

    def __init__(self, console: Console) -> None:
        self._console = console

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""

    def show(self, record: RunRecord, figures: Figures) -> None:
        """Print a line."""
        self.note(summary_line(record, figures))

    def note(self, text: str) -> None:
        """Print a line, unless it goes to a full disk."""
        with suppress(OSError):
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def dashboard(record: RunRecord, figures: Figures, width: int) -> RenderableType:
    """Return the whole view: where it is, the parts, the data, and what else there is to know."""
    tables = Table.grid(padding=(0, 3))
    if width >= _WIDE:
        tables.add_row(parts_table(record, figures), data_table(figures))
    else:  # a small terminal is low as well: one line has to do
        tables.add_row(parts_table(record, figures))
        tables.add_row(Text(f"\n {_stored_words(figures)}"))
    where = Text(f" {record.state_dir}: state and logs", style="dim", overflow="fold")
    headline = _headline(record, figures.taken_at_ms)
    return Group(Text(), headline, Text(), tables, _latest_text(figures), *_troubles(record), where)


def _troubles(record: RunRecord) -> list[Text]:
    """Return a line for each part that fails a probe."""
    return [Text(f" {name}: {part.trouble}", style="red") for name, part in record.parts.items() if part.trouble]


def _headline(record: RunRecord, now_ms: int) -> Text:
    uptime_s = max(0, now_ms - record.started_at_ms) // 1000
    line = Text(" Petrosa ", style="bold")
    line.append("ready" if record.ready else "not ready", style="bold green" if record.ready else "bold yellow")
    line.append(f"  {record.url}  {record.nats_url}\n", style="default not bold")
    details = f" market {record.market} · feed {record.feed} · up {_duration(uptime_s)}\n stores: {record.stores}"
    return line.append(details, style="dim not bold")


def _latest_text(figures: Figures) -> Text:
    return Text("\n" + "\n".join(f" {words}" for words in _latest(figures)))


def _stored_words(figures: Figures) -> str:
    rows = figures.stored.rows
    count = _NONE if rows is None else f"{sum(rows.values()):,}"
    return f"stored {_rate(figures.all_stored_per_s)}/s · rows {count}"


def parts_table(record: RunRecord, figures: Figures) -> Table:
    """Return the parts with their state and what they use."""
    table = _table("part", "state")
    for name in ("restarts", "cpu", "memory"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("hosts", style="dim", no_wrap=True)
    for name, part in record.parts.items():
        usage = figures.usage.get(name, Usage())
        table.add_row(name, *_state_cells(part), *_usage_cells(usage), _hosts(part))
    table.add_row(RUNNER, "", "", *_usage_cells(figures.usage.get(RUNNER, Usage())), "", style="dim")
    whole = list(figures.usage.values())
    total = Usage(_sum(usage.cpu_percent for usage in whole), _sum(usage.memory_mib for usage in whole))
    table.add_row("all", "", "", *_usage_cells(total), "", style="dim")
    return table


def data_table(figures: Figures) -> Table:
    """Return what is stored, and how fast it grows."""
    table = _table("data")
    for name in ("stored/s", "rows"):
        table.add_column(name, justify="right", no_wrap=True)
    rows = figures.stored.rows
    for family in Family:
        count = _NONE if rows is None else f"{rows.get(family, 0):,}"
        table.add_row(family.replace("_", " "), _rate(figures.stored_per_s.get(family)), count)
    total = _NONE if rows is None else f"{sum(rows.values()):,}"
    table.add_row("all", _rate(figures.all_stored_per_s), total, style="dim")
    return table


def summary_line(record: RunRecord, figures: Figures) -> str:
    """Return the system in one line."""
    missing = [f"{name} {part.state}" for name, part in record.parts.items() if part.state not in ("ready", "ended")]
    ready = sum(part.state == "ready" for part in record.parts.values())
    running = sum(part.state != "ended" for part in record.parts.values())
    words = [
        "ready" if record.ready else "not ready",
        ", ".join((f"parts {ready}/{running}", *missing)),
        f"restarts {sum(part.restarts for part in record.parts.values())}",
        _stored_words(figures),
    ]
    cpu = _sum(usage.cpu_percent for usage in figures.usage.values())
    memory = _sum(usage.memory_mib for usage in figures.usage.values())
    words += [f"cpu {_percent(cpu)}", f"memory {_mebibytes(memory)}"]
    return " · ".join((*words, *_latest(figures)))


def _latest(figures: Figures) -> list[str]:
    stored = figures.stored
    age = "none yet" if stored.analytics_age_s is None else f"{_duration(int(stored.analytics_age_s))} ago"
    words = [
        f"received {_rate(figures.received_per_s)}/s",
        f"last analytics {age}",
        f"dead letters {_NONE if stored.dead_letters is None else f'{stored.dead_letters:,}'}",
    ]
    return [" · ".join(words), *_feed_words(figures)]


def _feed_words(figures: Figures) -> list[str]:
    feed = figures.feed
    if feed is None:
        return []
    share = f" {100 * feed.published / feed.total:.0f} %" if feed.phase == "history" and feed.total else ""
    return [f"feed {feed.phase}{share}, {feed.published:,} published"]


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False, pad_edge=True, header_style="bold")
    for name in columns:
        table.add_column(name, no_wrap=True)
    return table


def _state_cells(part: PartRecord) -> tuple[Text, str]:
    return Text(part.state, style=_STATE_STYLES.get(part.state, "dim")), str(part.restarts or "")


def _hosts(part: PartRecord) -> str:
    return part.functions[0] if len(part.functions) == 1 else f"{len(part.functions)} functions" * bool(part.functions)


def _usage_cells(usage: Usage) -> tuple[str, str]:
    return _percent(usage.cpu_percent), _mebibytes(usage.memory_mib)


def _percent(value: float | None) -> str:
    return _NONE if value is None else f"{value:.0f} %"


def _mebibytes(value: float | None) -> str:
    return _NONE if value is None else f"{value:.0f} MiB"


def _rate(value: float | None) -> str:
    if value is None:
        return _NONE
    return f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.1f}"


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _duration(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h {minutes:02d}m"
    return f"{minutes}m {seconds:02d}s" if minutes else f"{seconds}s"
