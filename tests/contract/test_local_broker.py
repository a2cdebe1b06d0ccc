"""The one-machine broker keeps the contract of Knative's, and loses nothing."""

from collections.abc import Iterator

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
from tests.support.local_broker import BROKER, NAMESPACE, local_broker
from tests.support.subscribers import subscribers


@pytest.fixture(scope="module")
def plane() -> Iterator[Plane]:
    """The broker as a process, with all Triggers of the suite."""
    with subscribers() as server:
        triggers = [each.trigger(NAMESPACE, BROKER, server.url) for each in SUBSCRIPTIONS]
        with local_broker(triggers) as (broker, _):
            yield Plane(NAMESPACE, broker.ingress_url, server)


class TestFilters(FiltersContract): ...


class TestDelivery(DeliveryContract): ...


class TestRetries(RetryContract): ...


class TestDeadLetters(DeadLettersContract): ...


class TestReplies(RepliesContract): ...


class TestIngress(IngressContract): ...
