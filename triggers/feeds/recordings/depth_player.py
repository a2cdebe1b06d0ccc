"""Plays recorded depth differences through local order books, one per symbol, and gives their top 20 levels."""

from collections.abc import Iterator
from typing import Final

import msgspec

from triggers.feeds.envelope import stream_name
from triggers.feeds.order_book import Difference, OrderBook, Outcome, PartialBooks, Snapshot
from triggers.feeds.recordings.recorded import FileReport, Recorded

_difference: Final = msgspec.json.Decoder(Difference).decode
_snapshot: Final = msgspec.json.Decoder(Snapshot).decode


class _Played:
    """The book of one symbol, and what the report needs to know of it."""

    def __init__(self) -> None:
        self.book = OrderBook()
        self.partial = PartialBooks(self.book)
        self.received_us: dict[int, int | None] = {}
        self.has_snapshot = False
        self.differences = 0


class DepthPlayer:
    """All books of one recording."""

    def __init__(self, report: FileReport) -> None:
        self._report = report
        self._played: dict[str, _Played] = {}

    def snapshot(self, symbol: str, event: bytes, line_number: int) -> Iterator[Recorded]:
        """Load a REST snapshot; gives the books after the differences that waited for it."""
        played = self._played.setdefault(symbol, _Played())
        again = played.has_snapshot and not played.book.synchronised
        played.has_snapshot = True
        for difference, outcome in played.book.load(_snapshot(event)):
            yield from self._after(played, difference, outcome, line_number)
        if again and not played.book.awaits_snapshot:
            self._report.note(f"line {line_number}: the book of {symbol} begins anew from a snapshot")

    def difference(self, event: bytes, received_us: int | None, line_number: int) -> Iterator[Recorded]:
        """Apply a difference; gives the book after it when one is due."""
        difference = _difference(event)
        played = self._played.setdefault(difference.s, _Played())
        played.differences += 1
        outcome = played.book.apply(difference)
        if outcome in (Outcome.KEPT, Outcome.BROKEN):
            played.received_us[difference.u] = received_us
        yield from self._after(played, difference, outcome, line_number, received_us)

    def _after(
        self,
        played: _Played,
        difference: Difference,
        outcome: Outcome,
        line_number: int,
        received_us: int | None = None,
    ) -> Iterator[Recorded]:
        if outcome is Outcome.APPLIED:
            event = played.partial.after(difference)
            if event is not None:
                time_us = received_us or played.received_us.pop(difference.u, None) or difference.E * 1000
                yield Recorded(time_us, "depthUpdate", stream_name(difference.s, "depthUpdate"), event)
        elif outcome is Outcome.BROKEN:
            self._report.note(
                f"line {line_number}: the depth differences of {difference.s} do not join at update "
                f"{difference.U}: its book waits for the next snapshot"
            )

    def finish(self) -> None:
        """Note the differences that no snapshot made use of."""
        for symbol, played in self._played.items():
            if played.differences and not played.has_snapshot:
                self._report.skipped["depth differences without a snapshot"] += played.differences
                self._report.note(
                    f"{symbol}: {played.differences} depth differences without a snapshot give no order book"
                )
            elif played.differences and played.book.awaits_snapshot:
                self._report.note(f"{symbol}: the order book ends where its differences broke off")
