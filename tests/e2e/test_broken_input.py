"""Broken input through the whole system: the good rows beside it are stored, the bad ones can be looked up."""

from collections.abc import Mapping
from pathlib import Path

from common.models.families import Family
from tests.support.messages import message
from tests.support.system import running_system
from tests.support.traffic import publish, trade, wait_stored

GOOD = 500
BROKEN = {
    "not_json": b"this is not JSON",
    "wrong_type": message("trade", t="5"),
    "missing_field": message("trade", drop="t"),
    "invalid_value": message("trade", p="-64120.50"),
    "invalid_symbol": message("trade", s="../../etc/passwd"),
    "implausible_time": message("trade", T=4_102_444_800_000),
    "not_utf8": b'{"e":"trade\xff"}',
    "too_deep": b'{"e":"trade","x":' + b"[" * 100_000,
    "not_an_object": b'["trade"]',
    "too_large": b'{"e":"trade","x":"' + b"x" * 1_000_000 + b'"}',
}
FURTHER = (
    message("trade", p="NaN"),
    message("trade", p="Infinity"),
    message("trade", p="9" * 400),
    message("trade", T=1_400_000_000_000),
    message("trade", s=None).replace(b"btcusdt@trade", b""),
    b"",
    b"\n",
    b'{"e":"trade",\n"s":"BTCUSDT"}',
)
NO_ERRORS = (
    message("kline", k__x=True),
    message("kline", E=1760963704999),  # unclosed, after the closed one
    message("trade"),
    message("trade"),
    b'{"e":"bookTicker","s":"BTCUSDT","u":1}',
    b'{"e":"somethingNew","s":"BTCUSDT"}',
)


def test_broken_messages_never_stop_the_flow(tmp_path: Path, stores: Mapping[str, str]) -> None:
    # The messages are of several years: by the age of the newest the older ones would be due for deletion.
    kept = {**stores, "PETROSA_RETENTION_TRADE": "forever"}
    with running_system(tmp_path / "state", environment=kept) as system:
        good = [trade(number) for number in range(GOOD)]
        mixed = [*good[:250], *BROKEN.values(), *FURTHER, *NO_ERRORS, *good[250:]]
        publish(system, mixed)
        wait_stored(system, Family.TRADES, GOOD + 1)

        def by_reason() -> dict[str, dict[str, object]]:
            listed = system.get("/health/dead-letters?limit=100").json()["values"]
            return {item["reason"]: item for item in listed}

        system.wait(lambda: set(BROKEN) <= set(by_reason()), f"expected dead letters of {sorted(BROKEN)}")
        found = by_reason()
        assert found["invalid_symbol"]["field"] == "s"
        assert "passwd" in str(found["invalid_symbol"]["excerpt"])
        only = system.get("/health/dead-letters?reason=implausible_time").json()
        assert {item["reason"] for item in only["values"]} == {"implausible_time"}
        kinds = system.get("/health/dead-letters?kind=kline").json()
        assert kinds["values"] == []
        assert "bookticker" in system.get("/metrics").text
        candles = system.get("/data/candles?pair=BTCUSDT&period=1h").json()["values"]
        assert len(candles) == 1
