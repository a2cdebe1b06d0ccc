"""The one-machine broker keeps the contract of Knative's, and loses nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.broker_contract import (
    SUBSCRIPTIONS,
    DeadLettersContract,
    DeliveryContract,
    FiltersContract,
    IngressContract,
    Plane,
    RepliesContract,
    RetryContract,
)
from tests.support.local_broker import NAMESPACE, local_broker
from tests.support.nats import nats_server
from tests.support.subscriber import subscribers


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """The broker as a process, with all Triggers of the suite."""
    folder: Path = tmp_path_factory.mktemp("broker")
    with nats_server() as nats, subscribers() as server:
        triggers = {each.name: each.spec(server.url("")) for each in SUBSCRIPTIONS}
        with local_broker(folder, nats.url, triggers) as broker:
            yield Plane(NAMESPACE, broker.url, server)


class TestFilters(FiltersContract): ...


class TestDelivery(DeliveryContract): ...


class TestRetries(RetryContract): ...


class TestDeadLetters(DeadLettersContract): ...


class TestReplies(RepliesContract): ...


class TestIngress(IngressContract): ...
