"""``python -m infra.local.broker --plan FILE``: the broker and the cron of one machine, in one process."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

import uvicorn
import uvloop

from common.clock import Clock, clock_from
from common.errors import ConfigurationError
from common.settings import Settings, load_settings
from common.telemetry.logs import configure_logging
from infra.local.broker.broker import Broker, routes_of
from infra.local.broker.delivery import Poster
from infra.local.broker.ingress import Ingress
from infra.local.broker.store import EventStore
from infra.local.cron.pinger import Pinger
from infra.local.manifests import Manifests, load_manifests
from infra.local.plan import BrokerPlan, read_plan


async def serve(plan: BrokerPlan, manifests: Manifests, settings: Settings, clock: Clock) -> None:
    """Run until SIGTERM."""
    store = EventStore(settings.nats_url, connect_timeout_s=settings.nats_connect_timeout)
    broker = Broker(plan, store, Poster(plan.namespace), clock, routes_of(manifests, plan))
    server = uvicorn.Server(
        uvicorn.Config(
            Ingress(broker),
            host="127.0.0.1",
            port=plan.broker_port,
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=5,
        )
    )
    opening = asyncio.create_task(broker.start())
    pinging = asyncio.create_task(Pinger(manifests.ping_sources, plan, clock).run()) if plan.cron else None
    # The server repeats the signal that ended it, which must not end the process before the broker has stopped.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    await server.serve()
    for task in (opening, pinging):
        if task is not None:
            task.cancel()
    await asyncio.gather(*(task for task in (opening, pinging) if task), return_exceptions=True)
    await broker.stop()


def main() -> int:
    """Serve; 2 when the plan, a manifest or a setting is wrong."""
    parser = argparse.ArgumentParser(description="The broker of one machine.")
    parser.add_argument("--plan", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        settings = load_settings()
        configure_logging(settings, service="broker")
        plan = read_plan(arguments.plan)
        manifests = load_manifests(Path(plan.project_dir))
        clock = clock_from(settings.petrosa_clock)
    except (ConfigurationError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    uvloop.run(serve(plan, manifests, settings, clock))
    return 0


if __name__ == "__main__":
    sys.exit(main())
