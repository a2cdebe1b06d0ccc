"""The targets that have been made in this process, by name: how the host finds the start and stop hooks of one."""

from dataclasses import dataclass
from typing import Any, Literal

from common.errors import ConfigurationError
from common.host.context import Lifetime

Kind = Literal["event-function", "route-group"]


@dataclass(frozen=True, slots=True)
class Target:
    """A function as the host knows it."""

    name: str
    kind: Kind
    lifetime: Lifetime[Any]


_targets: dict[str, Target] = {}


def register(target: Target) -> None:
    """Remember a target; loading its module again replaces it."""
    _targets[target.name] = target


def target_of(name: str) -> Target:
    """Return a target.

    Raises:
        ConfigurationError: no module that was loaded made one of this name.
    """
    try:
        return _targets[name]
    except KeyError:
        raise ConfigurationError(
            f"FUNCTION_TARGET: expected a function made by event_function or route_group, was {name!r}"
        ) from None
