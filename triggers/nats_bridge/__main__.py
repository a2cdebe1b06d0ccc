"""The process: settings, logs, signals, exit code."""

import asyncio
import sys
from typing import Final

import uvloop

from common.clock import clock_from
from common.errors import ConfigurationError
from common.events.sink import Sink, sink_of
from common.host.serving import listening, serve
from common.settings import Settings, load_settings
from common.signals import stop_on_signals
from common.telemetry.logs import configure_logging
from triggers.nats_bridge.bridge import Bridge
from triggers.nats_bridge.health import health_app

# Until the sink answers, the messages are safe in their stream: what is delivered by then need not be kept twice.
_DELIVERY_WAIT_S: Final = 1
_PROBES_GRACE_S: Final = 1


async def run(settings: Settings) -> None:
    """Run the bridge and its probes until SIGTERM or SIGINT.

    Raises:
        ConfigurationError: a setting is wrong.
    """
    ended = asyncio.Event()
    bridge = Bridge(settings, _sink(settings), clock_from(settings.petrosa_clock))
    probes = asyncio.create_task(
        serve(health_app(bridge.status), [listening(settings.port)], ended, grace_s=_PROBES_GRACE_S)
    )
    try:
        with stop_on_signals() as stop:
            await bridge.run(stop)
    except ExceptionGroup as group:
        wrong = group.subgroup(ConfigurationError)
        raise (wrong.exceptions[0] if wrong else group) from None
    finally:
        ended.set()
        await probes


def _sink(settings: Settings) -> Sink:
    if not settings.k_sink:
        raise ConfigurationError("K_SINK: expected the address that takes the events, was not set")
    return sink_of(settings, connections=settings.bridge_batches_in_flight, delivery_wait_s=_DELIVERY_WAIT_S)


def main() -> int:
    """Return the exit code: 0 after an orderly end, 2 when the configuration is wrong."""
    try:
        settings = load_settings()
        configure_logging(settings, service="nats_bridge")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(settings))
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
