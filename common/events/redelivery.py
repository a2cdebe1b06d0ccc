"""The attributes that a dead letter keeps, so that an operator can have it delivered once more."""

import json

from common.events.envelope import Event
from common.events.types import COUNT

# What brokers add on the way: when it arrived, how often it went round, why it was given up.
_BROKERS_OWN = "knative"


def attributes_of_event(event: Event) -> str:
    """Return the attributes of a whole event as JSON text, without what a broker has added."""
    return _text(event)


def attributes_of_message(event: Event) -> str:
    """Return the attributes of an event that holds one message of ``event``, a batch, as JSON text.

    The id is left out: it is that of the dead letter, so that redelivering twice is one event.
    """
    return _text(event, "id", COUNT)


def _text(event: Event, *without: str) -> str:
    kept = {
        name: value
        for name, value in event.attributes.items()
        if name not in without and not name.startswith(_BROKERS_OWN)
    }
    return json.dumps(kept, separators=(",", ":"), ensure_ascii=False)
