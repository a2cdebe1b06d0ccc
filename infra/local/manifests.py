"""The deployed manifests as the parts of one machine read them: Services, Triggers, PingSources and the Broker.

This is their only reader. It is as strict as the cluster's admission on what it reads, and says which file and which
field is wrong; it is no substitute for the schemas of the resources, which the tests check.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, cast, get_args

import msgspec
import yaml

from common.errors import ConfigurationError
from infra.local.broker.filters import Attributes, Filter, FilterManifest, LegacyFilter
from infra.local.cron.schedule import Schedule

BackoffPolicy = Literal["linear", "exponential"]
Role = Literal["event-function", "route-group"]

_ROLE_LABEL: Final = "petrosa.io/role"
_ROUTES_ANNOTATION: Final = "petrosa.io/routes"
_PROCESS_ANNOTATION: Final = "petrosa.io/local-process"
_JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class FunctionService:
    """A function as it is deployed.

    Attributes:
        name: name of the Knative Service.
        target: name of the function (``FUNCTION_TARGET``).
        folder: its folder, relative to the project.
        source: its main.py, relative to the project (``FUNCTION_SOURCE``).
        role: what kind of function it is.
        routes: path prefixes that belong to a route group.
        local_process: which process hosts it on one machine.
        env: its literal environment.
        concurrency: requests at once (``containerConcurrency``); 0 means no limit.
    """

    name: str
    target: str
    folder: Path
    source: str
    role: Role
    routes: tuple[str, ...]
    local_process: str
    env: dict[str, str]
    concurrency: int


@dataclass(frozen=True, slots=True)
class Destination:
    """Where events go: the Knative Service of this name, or a URL. One of the two is set."""

    service: str | None = None
    uri: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """How an event is delivered.

    Attributes:
        retry: attempts after the first.
        policy: how the wait grows.
        delay_s: the unit of the wait.
        timeout_s: time for one request; nothing means the platform's own limit.
        dead_letter_sink: who gets what could not be delivered.
    """

    retry: int = 0
    policy: BackoffPolicy = "exponential"
    delay_s: float = 0.0
    timeout_s: float | None = None
    dead_letter_sink: Destination | None = None


@dataclass(frozen=True, slots=True)
class Trigger:
    """A subscription: events that pass all filters go to the subscriber. ``delivery`` is the effective one."""

    name: str
    filters: tuple[Filter, ...]
    subscriber: Destination
    delivery: Delivery
    file: Path

    def matches(self, attributes: Attributes) -> bool:
        """Tell whether an event with these attributes goes to the subscriber."""
        return all(one.matches(attributes) for one in self.filters)


@dataclass(frozen=True, slots=True)
class PingSource:
    """A schedule that fires events at the Broker; ``data`` is their body."""

    name: str
    namespace: str
    schedule: Schedule
    content_type: str | None
    data: bytes
    extensions: dict[str, str]

    @property
    def timezone(self) -> str:
        """The IANA name of the zone that the schedule is read in."""
        return self.schedule.timezone


@dataclass(frozen=True, slots=True)
class BrokerSpec:
    """The Broker, with the delivery of Triggers that have none of their own."""

    name: str
    namespace: str
    delivery: Delivery


@dataclass(frozen=True, slots=True)
class Manifests:
    """All manifests that matter on one machine."""

    broker: BrokerSpec
    services: tuple[FunctionService, ...]
    triggers: tuple[Trigger, ...]
    ping_sources: tuple[PingSource, ...]


def load_manifests(project_dir: Path) -> Manifests:
    """Read the manifests of a project.

    Args:
        project_dir: folder that holds ``functions/``, ``triggers/`` and ``infra/``.

    Raises:
        ConfigurationError: a manifest is missing or wrong; the text names file and field.
    """
    broker = _broker(project_dir / "infra" / "base" / "broker.yaml")
    services = _documents(project_dir, "functions/*/service.yaml", _ServiceManifest)
    triggers = _documents(project_dir, "functions/*/trigger.yaml", _TriggerManifest)
    ping_sources = _documents(project_dir, "triggers/cron/*.yaml", _PingSourceManifest)
    _check_names(services, broker.namespace)
    _check_names(triggers, broker.namespace)
    _check_names(ping_sources, broker.namespace)
    return Manifests(
        broker=broker,
        services=tuple(_service(file, each, project_dir) for file, each in services),
        triggers=tuple(_trigger(file, each, broker) for file, each in triggers),
        ping_sources=tuple(_ping_source(file, each, broker) for file, each in ping_sources),
    )


# The documents as they are written. Fields that nothing here reads are named too: any other is refused.


class _Document(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """Base of all documents and their parts."""


class _Metadata(_Document):
    name: str
    namespace: str
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class _Reference(_Document):
    api_version: str
    kind: str
    name: str
    namespace: str | None = None


class _Destination(_Document):
    ref: _Reference | None = None
    uri: str | None = None

    def __post_init__(self) -> None:
        if (self.ref is None) == (self.uri is None):
            raise ValueError("expected either ref or uri")
        if self.uri is not None and not self.uri.startswith(("http://", "https://")):
            raise ValueError(f"uri: expected an http URL, was {self.uri!r}")

    def to_service(self) -> Destination:
        """Return the destination of an event: a Service or a URL."""
        if self.ref is not None and (self.ref.api_version, self.ref.kind) != ("serving.knative.dev/v1", "Service"):
            raise ValueError(f"expected a reference to a Knative Service, was {self.ref.api_version} {self.ref.kind}")
        return Destination(service=self.ref.name if self.ref else None, uri=self.uri)


class _Delivery(_Document):
    retry: int = 0
    backoff_policy: BackoffPolicy = "exponential"
    backoff_delay: str = "PT0S"
    timeout: str | None = None
    dead_letter_sink: _Destination | None = None
    format: Literal["binary"] = "binary"

    def to_delivery(self) -> Delivery:
        """Return the delivery that this part describes."""
        if self.retry < 0:
            raise ValueError(f"retry: expected 0 or more, was {self.retry}")
        return Delivery(
            retry=self.retry,
            policy=self.backoff_policy,
            delay_s=_seconds("backoffDelay", self.backoff_delay),
            timeout_s=None if self.timeout is None else _timeout_s(self.timeout),
            dead_letter_sink=self.dead_letter_sink.to_service() if self.dead_letter_sink else None,
        )


def _platform_delivery() -> _Delivery:
    """Return what the platform's own configuration (``config-br-defaults``) gives a Broker without ``delivery``."""
    return _Delivery(retry=10, backoff_policy="exponential", backoff_delay="PT0.2S")


class _BrokerSpec(_Document):
    config: _Reference | None = None
    delivery: _Delivery = msgspec.field(default_factory=_platform_delivery)


class _BrokerManifest(_Document, tag_field="kind", tag="Broker"):
    api_version: Literal["eventing.knative.dev/v1"]
    metadata: _Metadata
    spec: _BrokerSpec


class _TriggerSpec(_Document):
    broker: str
    subscriber: _Destination
    filter: LegacyFilter | None = None
    filters: list[FilterManifest] = []
    delivery: _Delivery | None = None


class _TriggerManifest(_Document, tag_field="kind", tag="Trigger"):
    api_version: Literal["eventing.knative.dev/v1"]
    metadata: _Metadata
    spec: _TriggerSpec


class _Overrides(_Document):
    extensions: dict[str, str] = {}


class _PingSourceSpec(_Document):
    schedule: str
    sink: _Destination
    timezone: str = "UTC"
    content_type: str | None = None
    data: str = ""
    ce_overrides: _Overrides = msgspec.field(default_factory=_Overrides)


class _PingSourceManifest(_Document, tag_field="kind", tag="PingSource"):
    api_version: Literal["sources.knative.dev/v1"]
    metadata: _Metadata
    spec: _PingSourceSpec


class _Variable(_Document):
    name: str
    value: str | None = None
    value_from: dict[str, Any] | None = None


class _Container(_Document):
    image: str
    name: str | None = None
    args: list[str] = []
    command: list[str] = []
    env: list[_Variable] = []
    env_from: list[dict[str, Any]] = []
    image_pull_policy: str | None = None
    liveness_probe: dict[str, Any] = {}
    ports: list[dict[str, Any]] = []
    readiness_probe: dict[str, Any] = {}
    resources: dict[str, Any] = {}
    security_context: dict[str, Any] = {}
    volume_mounts: list[dict[str, Any]] = []


class _RevisionSpec(_Document):
    containers: list[_Container]
    container_concurrency: int = 0
    timeout_seconds: int | None = None
    response_start_timeout_seconds: int | None = None
    idle_timeout_seconds: int | None = None
    automount_service_account_token: bool | None = None
    enable_service_links: bool | None = None
    image_pull_secrets: list[dict[str, Any]] = []
    service_account_name: str | None = None
    volumes: list[dict[str, Any]] = []

    def __post_init__(self) -> None:
        if len(self.containers) != 1:
            raise ValueError(f"containers: expected one, was {len(self.containers)}")


class _TemplateMetadata(_Document):
    name: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class _Template(_Document):
    spec: _RevisionSpec
    metadata: _TemplateMetadata | None = None


class _ServiceSpec(_Document):
    template: _Template
    traffic: list[dict[str, Any]] = []


class _ServiceManifest(_Document, tag_field="kind", tag="Service"):
    api_version: Literal["serving.knative.dev/v1"]
    metadata: _Metadata
    spec: _ServiceSpec


M = TypeVar("M", _BrokerManifest, _TriggerManifest, _PingSourceManifest, _ServiceManifest)
Manifest = _TriggerManifest | _PingSourceManifest | _ServiceManifest


def _documents(project_dir: Path, pattern: str, kind: type[M]) -> list[tuple[Path, M]]:
    return [(file, each) for file in sorted(project_dir.glob(pattern)) for each in _read(file, kind)]


def _read(file: Path, kind: type[M]) -> Iterator[M]:
    try:
        for document in yaml.safe_load_all(file.read_text()):
            if document is not None:
                yield msgspec.convert(document, kind)
    except OSError as error:
        raise ConfigurationError(f"{file}: the manifest cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file}: expected UTF-8 text") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{file}: not YAML: {error}") from error
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{file}: {error}") from error


def _check_names(found: Sequence[tuple[Path, Manifest]], namespace: str) -> None:
    files: dict[str, Path] = {}
    for file, each in found:
        name = each.metadata.name
        if each.metadata.namespace != namespace:
            raise _wrong(file, "metadata.namespace", f"{namespace}, as the Broker", each.metadata.namespace)
        if name in files:
            raise ConfigurationError(
                f"{file}: metadata.name: {name!r} was already used in {files[name]}: choose another"
            )
        files[name] = file


def _broker(file: Path) -> BrokerSpec:
    found = list(_read(file, _BrokerManifest))
    if len(found) != 1:
        raise ConfigurationError(f"{file}: expected one Broker, was {len(found)}")
    delivery = _checked(file, "spec.delivery", found[0].spec.delivery.to_delivery)
    return BrokerSpec(found[0].metadata.name, found[0].metadata.namespace, delivery)


def _service(file: Path, manifest: _ServiceManifest, project_dir: Path) -> FunctionService:
    revision = manifest.spec.template.spec
    env = {each.name: each.value for each in revision.containers[0].env if each.value is not None}
    folder = file.parent.relative_to(project_dir)
    role = _role(file, manifest.metadata.labels.get(_ROLE_LABEL))
    target = env.get("FUNCTION_TARGET")
    if not target:
        raise _wrong(file, "env FUNCTION_TARGET", "the name of the function", target)
    return FunctionService(
        name=manifest.metadata.name,
        target=target,
        folder=folder,
        source=env.get("FUNCTION_SOURCE", f"{folder.as_posix()}/main.py"),
        role=role,
        routes=_routes(file, role, manifest.metadata.annotations.get(_ROUTES_ANNOTATION)),
        local_process=manifest.metadata.annotations.get(_PROCESS_ANNOTATION) or role,
        env=env,
        concurrency=revision.container_concurrency,
    )


def _role(file: Path, value: str | None) -> Role:
    if value in get_args(Role):
        return cast("Role", value)
    raise _wrong(file, f"metadata.labels[{_ROLE_LABEL}]", "event-function or route-group", value)


def _routes(file: Path, role: Role, value: str | None) -> tuple[str, ...]:
    field = f"metadata.annotations[{_ROUTES_ANNOTATION}]"
    routes = tuple(route.strip() for route in (value or "").split(",") if route.strip())
    if bool(routes) != (role == "route-group"):
        raise _wrong(file, field, "path prefixes for a route group, and nothing else", value)
    for route in routes:
        if not route.startswith("/") or (route != "/" and route.endswith("/")):
            raise _wrong(file, field, "prefixes such as /data", route)
    return routes


def _trigger(file: Path, manifest: _TriggerManifest, broker: BrokerSpec) -> Trigger:
    spec = manifest.spec
    if spec.broker != broker.name:
        raise _wrong(file, "spec.broker", broker.name, spec.broker)
    field = f"spec.filters of the Trigger {manifest.metadata.name}"
    filters = _checked(file, field, lambda: tuple(each.to_filter() for each in spec.filters))
    if not filters and spec.filter is not None:
        filters = (spec.filter.to_filter(),)
    return Trigger(
        name=manifest.metadata.name,
        filters=filters,
        subscriber=_checked(file, "spec.subscriber", spec.subscriber.to_service),
        delivery=_effective_delivery(file, spec.delivery, broker.delivery),
        file=file,
    )


def _effective_delivery(file: Path, own: _Delivery | None, default: Delivery) -> Delivery:
    """Return what counts: the Trigger's own delivery replaces the Broker's, whose dead-letter sink alone stands in."""
    if own is None:
        return default
    delivery = _checked(file, "spec.delivery", own.to_delivery)
    if delivery.dead_letter_sink is not None:
        return delivery
    return Delivery(
        retry=delivery.retry,
        policy=delivery.policy,
        delay_s=delivery.delay_s,
        timeout_s=delivery.timeout_s,
        dead_letter_sink=default.dead_letter_sink,
    )


def _ping_source(file: Path, manifest: _PingSourceManifest, broker: BrokerSpec) -> PingSource:
    spec = manifest.spec
    ref = spec.sink.ref
    if ref is None or (ref.kind, ref.name) != ("Broker", broker.name):
        raise _wrong(file, "spec.sink.ref", f"the Broker {broker.name}", spec.sink.uri or (ref and ref.name))
    for name in spec.ce_overrides.extensions:
        if not (name.isascii() and name.isalnum() and name == name.lower()):
            raise _wrong(file, "spec.ceOverrides.extensions", "names of lower-case letters and digits", name)
    return PingSource(
        name=manifest.metadata.name,
        namespace=manifest.metadata.namespace,
        schedule=_checked(file, "spec.schedule", lambda: Schedule.parse(spec.schedule, spec.timezone)),
        content_type=spec.content_type,
        data=_checked(file, "spec.data", lambda: _ping_data(spec)),
        extensions=spec.ce_overrides.extensions,
    )


def _ping_data(spec: _PingSourceSpec) -> bytes:
    if spec.content_type != _JSON or not spec.data:
        return spec.data.encode()
    try:
        fields = msgspec.json.decode(spec.data, type=dict[str, msgspec.Raw])
    except msgspec.MsgspecError as error:
        raise ValueError(f"expected a JSON object with contentType {_JSON}, was {spec.data!r}") from error
    return msgspec.json.encode(fields, order="sorted")


def _seconds(field: str, text: str) -> float:
    try:
        seconds = msgspec.convert(text, timedelta).total_seconds()
    except msgspec.ValidationError:
        seconds = -1
    if seconds < 0:
        raise ValueError(f"{field}: expected an ISO 8601 duration such as PT0.5S, was {text!r}")
    return seconds


def _timeout_s(text: str) -> float:
    seconds = _seconds("timeout", text)
    if seconds == 0:
        raise ValueError(f"timeout: expected more than 0, was {text!r}: leave it out for the platform's own limit")
    return seconds


T = TypeVar("T")


def _checked(file: Path, field: str, make: Callable[[], T]) -> T:
    try:
        return make()
    except ValueError as error:
        raise ConfigurationError(f"{file}: {field}: {error}") from error


def _wrong(file: Path, field: str, expected: str, value: object) -> ConfigurationError:
    return ConfigurationError(f"{file}: {field}: expected {expected}, was {value!r}")
