"""``python -m infra.local.broker --plan FILE``: the broker and the cron of one machine, in one process."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Final

import uvloop

from common.clock import Clock, clock_from
from common.errors import ConfigurationError
from common.host.serving import listening, serve
from common.settings import Settings, load_settings
from common.signals import stop_on_signals
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
from infra.local.ports import LOOPBACK

_GRACE_S: Final = 3


async def run(plan: BrokerPlan, manifests: Manifests, settings: Settings, clock: Clock) -> None:
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
    ingress = Ingress(broker, plan.namespace, plan.broker)
    with stop_on_signals() as stop:
        await serve(ingress, [listening(plan.broker_port, LOOPBACK)], stop, grace_s=_GRACE_S)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
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
        manifests = load_manifests(Path(plan.project_dir), settings)
        clock = clock_from(settings.petrosa_clock)
        uvloop.run(run(plan, manifests, settings, clock))
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
