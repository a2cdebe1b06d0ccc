"""What is promised beside the rows: dead letters, deletion, changes, and several writers and readers at once."""

import asyncio

import pytest

from common.clock import SystemClock
from common.models.dead_letters import Reason
from common.models.families import Family, Series
from common.storage.ports import MarketStore, WriteCounts
from tests.contract.market_store.competing import content, winners
from tests.contract.market_store.opening import FAMILIES, OpenStore, StoreOpened, using
from tests.support.store_rows import (
    BTC,
    CANDLES,
    HOUR_MS,
    SAMPLES,
    SERIES,
    START_MS,
    TRADES,
    candle,
    letter,
    put,
    rows_of,
    trade,
)


class RecordContract(StoreOpened):
    """What a store keeps of itself."""

    # Dead letters

    def test_dead_letters_are_stored_with_their_batch_and_once(self, open_store: OpenStore) -> None:
        letters = [letter(1), letter(2, reason=Reason.NOT_JSON)]

        async def scenario(store: MarketStore) -> None:
            assert await put(store, Family.TRADES, [trade(1)], letters) == WriteCounts(inserted=1, dead_letters=2)
            assert await put(store, Family.TRADES, [], letters) == WriteCounts()
            again = [letters[0]._replace(time_ms=START_MS + 99)]
            assert await put(store, Family.TRADES, [trade(1)], again) == WriteCounts(unchanged=1)
            found, total = await store.dead_letters()
            assert sorted(found) == sorted(letters)
            assert total == 2
            assert all(isinstance(one.reason, Reason) for one in found)

        using(open_store, scenario)

    def test_a_dead_letter_is_kept_whole_and_listed_without_its_payload(self, open_store: OpenStore) -> None:
        whole = letter(1)._replace(
            attributes='{"type":"x"}', payload=b"\x00\xff" * 500_000, destination="http://ingest"
        )
        bare = letter(2)

        async def scenario(store: MarketStore) -> None:
            await store.write([], [whole, bare])
            assert await store.dead_letter(whole.dead_letter_id) == whole
            assert await store.dead_letter(bare.dead_letter_id) == bare
            assert await store.dead_letter("unknown") is None
            found, _ = await store.dead_letters()
            assert sorted(found, key=str) == sorted([whole._replace(payload=None), bare], key=str)

        using(open_store, scenario)

    def test_dead_letters_are_paged_newest_first(self, open_store: OpenStore) -> None:
        kinds, reasons = ("trade", "kline"), (Reason.NOT_JSON, Reason.INVALID_VALUE)
        letters = [letter(i, kind=kinds[i % 2], reason=reasons[i % 3 == 0], at_ms=i) for i in range(12)]

        async def scenario(store: MarketStore) -> None:
            await put(store, Family.TRADES, [], letters[::2])
            await put(store, Family.TRADES, [], letters)
            newest_first = letters[::-1]
            assert await store.dead_letters() == (newest_first, 12)
            assert await store.dead_letters(limit=5) == (newest_first[:5], 12)
            assert await store.dead_letters(limit=5, offset=10) == (newest_first[10:], 12)
            assert await store.dead_letters(limit=5, offset=99) == ([], 12)
            klines = [one for one in newest_first if one.kind == "kline"]
            assert await store.dead_letters(kind="kline", limit=2, offset=1) == (klines[1:3], len(klines))
            both = [one for one in klines if one.reason is Reason.NOT_JSON]
            assert await store.dead_letters(kind="kline", reason=Reason.NOT_JSON) == (both, len(both))
            assert await store.dead_letters(reason=Reason.REFUSED) == ([], 0)

        using(open_store, scenario)

    # Deleting

    @pytest.mark.parametrize("family", FAMILIES)
    def test_what_is_older_is_deleted_and_nothing_else(self, open_store: OpenStore, family: Family) -> None:
        rows = SAMPLES[family]

        async def scenario(store: MarketStore) -> None:
            for other in Family:
                await put(store, other, SAMPLES[other])
            assert await store.delete(family, rows[1].time_ms, limit=100) == 1
            assert await store.delete(family, rows[1].time_ms, limit=100) == 0
            assert await rows_of(store, SERIES[family]) == rows[1:]
            totals = await store.totals()
            assert totals == {other: len(SAMPLES[other]) - (other is family) for other in Family}

        using(open_store, scenario)

    def test_deleting_is_bounded_and_goes_on(self, open_store: OpenStore) -> None:
        symbols = ("ADAUSDT", BTC, "ETHUSDT")

        async def scenario(store: MarketStore) -> None:
            for symbol in symbols:
                await put(store, Family.TRADES, [trade(i, symbol=symbol) for i in range(10)])
            gone = [await store.delete(Family.TRADES, START_MS + 7, limit=4) for _ in range(7)]
            assert gone == [4, 4, 4, 4, 4, 1, 0]
            for symbol in symbols:
                assert await rows_of(store, Series(Family.TRADES, symbol)) == [
                    trade(i, symbol=symbol) for i in (7, 8, 9)
                ]

        using(open_store, scenario)

    def test_old_dead_letters_are_deleted(self, open_store: OpenStore) -> None:
        async def scenario(store: MarketStore) -> None:
            await put(store, Family.TRADES, [], [letter(i, at_ms=i) for i in range(5)])
            assert await store.delete("dead_letters", START_MS + 3, limit=2) == 2
            assert await store.delete("dead_letters", START_MS + 3, limit=2) == 1
            assert await store.dead_letters() == ([letter(4, at_ms=4), letter(3, at_ms=3)], 2)

        using(open_store, scenario)

    # Several at once

    def test_changes_tell_what_happened_to_which_series(self, open_store: OpenStore) -> None:
        async def scenario(store: MarketStore) -> None:
            assert await store.changes(0, limit=9) == []
            await put(store, Family.TRADES, [trade(1), trade(5), trade(2, symbol="ETHUSDT")])
            await put(store, Family.TRADES, [trade(1)])  # nothing new
            await put(store, Family.CANDLES, [candle(), candle(slot=2)])
            await put(store, Family.CANDLES, [candle("2", event_ms=1), candle(slot=3)])
            await store.delete(Family.TRADES, START_MS + 2, limit=9)
            found = await store.changes(0, limit=9)
            assert [change.number for change in found] == sorted({change.number for change in found})
            counts = [(change.dataset_id, change.inserted, change.updated, change.deleted) for change in found]
            assert sorted(counts[:2]) == [("trades_BTCUSDT", 2, 0, 0), ("trades_ETHUSDT", 1, 0, 0)]
            assert counts[2:] == [
                ("candles_BTCUSDT_1h", 2, 0, 0),
                ("candles_BTCUSDT_1h", 1, 1, 0),
                ("trades_BTCUSDT", 0, 0, 1),
            ]
            by_name = {change.dataset_id: change for change in reversed(found)}
            assert by_name["trades_BTCUSDT"][2:4] == (START_MS + 1, START_MS + 5)
            assert found[3][2:4] == (START_MS, START_MS + 3 * HOUR_MS)
            assert abs(found[0].time_ms - SystemClock().now_ms()) < HOUR_MS
            assert await store.changes(found[1].number, limit=2) == found[2:4]
            assert await store.changes(found[-1].number, limit=2) == []

        using(open_store, scenario)

    def test_a_revision_changes_with_its_series(self, open_store: OpenStore) -> None:
        async def scenario() -> None:
            async with open_store() as store, open_store() as other:

                async def revisions() -> tuple[object, object]:
                    return (
                        await store.revision(CANDLES),
                        await store.revision(TRADES),
                    )

                candles, trades = await revisions()
                assert await revisions() == (candles, trades)
                await put(store, Family.CANDLES, [candle()])
                own = await revisions()
                assert own[0] != candles
                assert own[1] == trades
                await put(other, Family.TRADES, [trade(1)])
                foreign = await revisions()
                assert foreign[0] == own[0]
                assert foreign[1] != own[1]
                await put(other, Family.TRADES, [trade(1)])
                assert await revisions() == foreign
                await other.delete(Family.TRADES, START_MS + 99, limit=9)
                assert (await revisions())[1] != foreign[1]

        asyncio.run(scenario())

    def test_writers_at_once_store_every_row_once(self, open_store: OpenStore) -> None:
        batches = [[trade(i) for i in range(start, start + 60)] for start in range(0, 600, 20)]

        async def scenario() -> None:
            async with open_store() as one, open_store() as two:
                stores = [one, two]
                writes = [put(stores[i % 2], Family.TRADES, batch) for i, batch in enumerate([*batches, *batches])]
                counts = await asyncio.gather(*writes)
                distinct = {row for batch in batches for row in batch}
                assert sum(count.inserted for count in counts) == len(distinct)
                assert sum(count.unchanged for count in counts) == 2 * 60 * len(batches) - len(distinct)
                assert await rows_of(one, TRADES) == sorted(distinct)
                assert (await two.totals())[Family.TRADES] == len(distinct)

        asyncio.run(scenario())

    def test_writers_at_once_agree_on_the_candle(self, open_store: OpenStore) -> None:
        updates = [candle(str(i), slot=i % 3, closed=i % 5 == 0, event_ms=i) for i in range(60)]

        async def scenario() -> None:
            async with open_store() as one, open_store() as two:
                stores = [one, two]
                deliveries = [*updates, *reversed(updates)]
                counts = await asyncio.gather(
                    *(put(stores[i % 2], Family.CANDLES, [row]) for i, row in enumerate(deliveries))
                )
                assert sum(count.inserted for count in counts) == 3
                assert [content(row) for row in await rows_of(two, CANDLES)] == winners(updates)

        asyncio.run(scenario())

    def test_reads_go_on_while_it_is_written(self, open_store: OpenStore) -> None:
        async def scenario(store: MarketStore) -> None:
            writes = [
                asyncio.ensure_future(put(store, Family.TRADES, [trade(i) for i in range(start, start + 100)]))
                for start in range(0, 2000, 100)
            ]
            seen = []
            while not all(write.done() for write in writes):
                seen.append(len(await rows_of(store, TRADES)))
            await asyncio.gather(*writes)
            seen.append(len(await rows_of(store, TRADES)))
            assert seen == sorted(seen)
            assert all(count % 100 == 0 for count in seen) or not self.batches_are_atomic
            assert seen[-1] == 2000

        using(open_store, scenario)

    def test_ping_asks_the_store(self, open_store: OpenStore) -> None:
        async def scenario(store: MarketStore) -> None:
            before = await store.totals()
            await store.ping()
            await store.ping(write=True)
            assert await store.totals() == before
            assert store.name

        using(open_store, scenario)
