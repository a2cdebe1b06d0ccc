"""``python -m infra.local.broker --plan FILE``: the broker and the cron of one machine, in one process."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path
from typing import Final

import uvicorn
import uvloop

from common.clock import Clock, clock_from
from common.errors import ConfigurationError
from common.settings import Settings, load_settings
from common.telemetry.logs import configure_logging
from infra.local.broker.broker import Broker
from infra.local.broker.ingress import Ingress
from infra.local.broker.pinger import Pinger
from infra.local.broker.plan import BrokerPlan, read_plan
from infra.local.broker.poster import Poster
from infra.local.broker.routes import routes_of
from infra.local.broker.store import EventStore
from infra.local.manifests.load import load_manifests
from infra.local.manifests.model import Manifests

_KEEP_ALIVE_S: Final = 75
_GRACE_S: Final = 3


async def serve(plan: BrokerPlan, manifests: Manifests, settings: Settings, clock: Clock) -> None:
    """Run until SIGTERM.

    Raises:
        ConfigurationError: a Trigger names a dead-letter sink that does not run.
    """
    routes = routes_of(manifests, plan)
    store = EventStore(settings, namespace=plan.namespace, broker=plan.broker)
    broker = Broker(store, Poster(plan.namespace), clock, routes, plan.ingress_url)
    running = [asyncio.create_task(broker.run())]
    if plan.cron:
        running.append(asyncio.create_task(Pinger(manifests.ping_sources, plan, clock).run()))
    await _server(Ingress(broker, plan.namespace, plan.broker), plan.broker_port).serve()
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await broker.stop()


def _server(ingress: Ingress, port: int) -> uvicorn.Server:
    config = uvicorn.Config(
        ingress,
        host="127.0.0.1",
        port=port,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
    )
    # The server repeats the signal that ended it, which must not end the process before the broker has stopped.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    return uvicorn.Server(config)


def main() -> int:
    """Serve; 2 when the plan, a manifest or a setting is wrong."""
    parser = argparse.ArgumentParser(description="The broker of one machine.")
    parser.add_argument("--plan", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        settings = load_settings()
        configure_logging(settings, service="broker")
        plan = read_plan(arguments.plan)
        manifests = load_manifests(Path(plan.project_dir), settings)
        clock = clock_from(settings.petrosa_clock)
        uvloop.run(serve(plan, manifests, settings, clock))
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
