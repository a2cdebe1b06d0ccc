"""The plan of the broker: what the runner decided, and the broker (``python -m infra.local.broker``) reads."""

from pathlib import Path

import msgspec

from common.errors import ConfigurationError


class BrokerPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the broker listens and where its subscribers are.

    Attributes:
        namespace: namespace of the manifests.
        broker: name of the Broker.
        broker_port: port of the ingress, on the loopback interface.
        project_dir: folder that holds ``functions/``, ``triggers/`` and ``infra/``.
        subscribers: name of each Knative Service that runs → its URL.
        first_ticks: names of the PingSources that fire once as soon as the broker is ready.
        cron: whether the PingSources fire at all.
    """

    namespace: str
    broker: str
    broker_port: int
    project_dir: str
    subscribers: dict[str, str]
    first_ticks: tuple[str, ...] = ()
    cron: bool = True

    @property
    def ingress_url(self) -> str:
        """Where events are posted to: the ``K_SINK`` of the functions."""
        return f"http://127.0.0.1:{self.broker_port}/{self.namespace}/{self.broker}"


def write_plan(file: Path, plan: BrokerPlan) -> None:
    """Write the plan as JSON."""
    file.write_bytes(msgspec.json.format(msgspec.json.encode(plan)))


def read_plan(file: Path) -> BrokerPlan:
    """Read the plan.

    Raises:
        ConfigurationError: there is no such file, or it is not a plan.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=BrokerPlan)
    except OSError as error:
        raise ConfigurationError(f"{file}: the plan cannot be read ({error.strerror})") from error
    except msgspec.MsgspecError as error:
        raise ConfigurationError(f"{file}: not a plan of the broker: {error}") from error
