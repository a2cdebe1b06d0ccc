"""Which events a Trigger wants: the filter dialects of Knative except CESQL, on the attributes of an event alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Protocol

import msgspec

Attributes = Mapping[str, str]

_AttributeName = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9]*$")]
_Wanted = Annotated[dict[_AttributeName, Annotated[str, msgspec.Meta(min_length=1)]], msgspec.Meta(min_length=1)]


class Filter(Protocol):
    """Passes an event or not."""

    def matches(self, attributes: Attributes) -> bool:
        """Tell whether an event with these attributes passes."""
        ...


@dataclass(frozen=True, slots=True)
class Exact:
    """Every named attribute has the value."""

    wanted: Attributes

    def matches(self, attributes: Attributes) -> bool:
        """Tell whether an event with these attributes passes."""
        return all(attributes.get(name) == value for name, value in self.wanted.items())


@dataclass(frozen=True, slots=True)
class Prefix:
    """Every named attribute is there and begins so."""

    wanted: Attributes

    def matches(self, attributes: Attributes) -> bool:
        """Tell whether an event with these attributes passes."""
        return all(name in attributes and attributes[name].startswith(start) for name, start in self.wanted.items())


@dataclass(frozen=True, slots=True)
class Suffix:
    """Every named attribute is there and ends so."""

    wanted: Attributes

    def matches(self, attributes: Attributes) -> bool:
        """Tell whether an event with these attributes passes."""
        return all(name in attributes and attributes[name].endswith(end) for name, end in self.wanted.items())


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every filter passes the event."""

    filters: tuple[Filter, ...]

    def matches(self, attributes: Attributes) -> bool:
        """Tell whether an event with these attributes passes."""
        return all(one.matches(attributes) for one in self.filters)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one filter passes the event."""

    filters: tuple[Filter, ...]

    def matches(self, attributes: Attributes) -> bool:
        """Tell whether an event with these attributes passes."""
        return any(one.matches(attributes) for one in self.filters)


@dataclass(frozen=True, slots=True)
class Not:
    """The filter does not pass the event."""

    filter: Filter

    def matches(self, attributes: Attributes) -> bool:
        """Tell whether an event with these attributes passes."""
        return not self.filter.matches(attributes)


@dataclass(frozen=True, slots=True)
class HasAttributes:
    """The older ``filter.attributes``: as ``Exact``, but an empty value accepts any."""

    wanted: Attributes

    def matches(self, attributes: Attributes) -> bool:
        """Tell whether an event with these attributes passes."""
        return all(name in attributes and value in ("", attributes[name]) for name, value in self.wanted.items())


class LegacyFilter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``spec.filter`` of a Trigger."""

    attributes: dict[_AttributeName, str] = {}

    def to_filter(self) -> Filter:
        """Return the filter that this part describes."""
        return HasAttributes(self.attributes)


class FilterManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"not_": "not"}):
    """One entry of ``spec.filters`` of a Trigger: exactly one dialect. CESQL is read only to be refused by name."""

    exact: _Wanted | None = None
    prefix: _Wanted | None = None
    suffix: _Wanted | None = None
    all: Annotated[tuple["FilterManifest", ...], msgspec.Meta(min_length=1)] | None = None
    any: Annotated[tuple["FilterManifest", ...], msgspec.Meta(min_length=1)] | None = None
    not_: "FilterManifest | None" = None
    cesql: str | None = None

    def __post_init__(self) -> None:
        dialects = [name for name in _DIALECTS if getattr(self, name) is not None]
        if len(dialects) != 1:
            raise ValueError(f"expected one dialect for each filter, was {dialects}")

    def to_filter(self) -> Filter:
        """Return the filter that this part describes.

        Raises:
            ValueError: its dialect is not one of those that are supported here.
        """
        if self.exact is not None:
            return Exact(self.exact)
        if self.prefix is not None:
            return Prefix(self.prefix)
        if self.suffix is not None:
            return Suffix(self.suffix)
        if self.all is not None:
            return AllOf(tuple(each.to_filter() for each in self.all))
        if self.any is not None:
            return AnyOf(tuple(each.to_filter() for each in self.any))
        if self.not_ is not None:
            return Not(self.not_.to_filter())
        raise ValueError(f"the dialect cesql is not supported here, write it with {', '.join(_SUPPORTED)}")


_DIALECTS: Final = FilterManifest.__struct_fields__
_SUPPORTED: Final = ("exact", "prefix", "suffix", "all", "any", "not")
