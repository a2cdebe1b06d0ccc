"""Reads what is deployed as the parts of one machine need it: Services, Triggers, PingSources, Deployments, the Broker.

This is its only reader. It is as strict as the cluster's admission on what it reads, and says which file and which
field is wrong; it is no substitute for the schemas of the resources, which the tests check.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar, cast, get_args

import msgspec

from common.errors import ConfigurationError
from common.intervals import cron_of
from common.settings import Settings
from infra.local.manifests.documents import (
    BrokerDocument,
    DeliveryDocument,
    DeploymentDocument,
    PingSourceDocument,
    PingSourceSpec,
    ServiceDocument,
    SinkBindingDocument,
    TriggerDocument,
)
from infra.local.manifests.kustomize import Resource, documents, resources_of
from infra.local.manifests.model import (
    BrokerSpec,
    Delivery,
    FunctionService,
    Manifests,
    PingSource,
    Program,
    Role,
    Trigger,
)
from infra.local.manifests.schedule import Schedule

_ROLE_LABEL: Final = "petrosa.io/role"
_ROUTES_ANNOTATION: Final = "petrosa.io/routes"
_PROCESS_ANNOTATION: Final = "petrosa.io/local-process"
_ADDRESS_ANNOTATION: Final = "petrosa.io/local-address"
_INTERVAL_ANNOTATION: Final = "petrosa.io/interval"
_JSON: Final = "application/json"
# What means nothing on one machine.
_PASSED_OVER: Final = frozenset({("v1", "Service"), ("policy/v1", "PodDisruptionBudget")})

Document = ServiceDocument | TriggerDocument | PingSourceDocument | SinkBindingDocument | DeploymentDocument
D = TypeVar("D", ServiceDocument, TriggerDocument, PingSourceDocument, SinkBindingDocument, DeploymentDocument)
T = TypeVar("T")


def load_manifests(project_dir: Path, settings: Settings | None = None) -> Manifests:
    """Read the manifests of a project: those in the folders of ``functions/`` and ``triggers/``, and the Broker.

    Args:
        project_dir: folder that holds ``functions/``, ``triggers/`` and ``infra/``.
        settings: whose intervals are rendered into the schedules of the PingSources that name one; without them the
            schedules stand as they are written.

    Raises:
        ConfigurationError: a manifest is missing or wrong; the text names file and field.
    """
    broker = _broker(project_dir / "infra" / "base" / "broker.yaml")
    found = list(_found(project_dir))
    _check_names(found, broker.namespace)
    bindings = [_binding(where, each, broker) for where, each in _of(SinkBindingDocument, found)]
    return Manifests(
        broker=broker,
        services=tuple(_service(where, each, bindings) for where, each in _of(ServiceDocument, found)),
        triggers=tuple(_trigger(where, each, broker) for where, each in _of(TriggerDocument, found)),
        ping_sources=tuple(
            _ping_source(where, each, broker, settings) for where, each in _of(PingSourceDocument, found)
        ),
        programs=tuple(
            _program(where, each, bindings) for where, each in _of(DeploymentDocument, found) if each.spec.replicas > 0
        ),
    )


def _found(project_dir: Path) -> Iterator[tuple[str, Document]]:
    for folder in sorted(path for name in ("functions", "triggers") for path in (project_dir / name).glob("*/")):
        for resource in resources_of(folder):
            if (resource.body.get("apiVersion"), resource.body.get("kind")) not in _PASSED_OVER:
                yield resource.where, _converted(resource)


def _converted(resource: Resource) -> Document:
    try:
        converted: Document = msgspec.convert(resource.body, Document)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{resource.where}: {error}") from error
    return converted


def _of(kind: type[D], found: Sequence[tuple[str, Document]]) -> list[tuple[str, D]]:
    return [(where, each) for where, each in found if isinstance(each, kind)]


def _check_names(found: Sequence[tuple[str, Document]], namespace: str) -> None:
    places: dict[tuple[type[Document], str], str] = {}
    for where, each in found:
        name = each.metadata.name
        if each.metadata.namespace != namespace:
            raise _wrong(where, "metadata.namespace", f"{namespace}, as the Broker", each.metadata.namespace)
        if (earlier := places.get((type(each), name))) is not None:
            raise ConfigurationError(f"{where}: metadata.name: {name!r} was already used in {earlier}: choose another")
        places[type(each), name] = where


def _broker(file: Path) -> BrokerSpec:
    found = documents(file)
    if len(found) != 1:
        raise ConfigurationError(f"{file}: expected one Broker, was {len(found)}")
    try:
        broker = msgspec.convert(found[0], BrokerDocument)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{file}: {error}") from error
    delivery = _checked(str(file), "spec.delivery", broker.spec.delivery.to_delivery)
    return BrokerSpec(broker.metadata.name, broker.metadata.namespace, delivery)


def _binding(where: str, manifest: SinkBindingDocument, broker: BrokerSpec) -> SinkBindingDocument:
    ref = manifest.spec.sink.ref
    if ref is None or (ref.kind, ref.name) != ("Broker", broker.name):
        raise _wrong(where, "spec.sink.ref", f"the Broker {broker.name}", manifest.spec.sink.uri or (ref and ref.name))
    return manifest


def _service(where: str, manifest: ServiceDocument, bindings: Sequence[SinkBindingDocument]) -> FunctionService:
    revision, metadata = manifest.spec.template.spec, manifest.metadata
    container = revision.containers[0]
    role = _role(where, metadata.labels.get(_ROLE_LABEL))
    target = container.variables.get("FUNCTION_TARGET")
    if not target:
        raise _wrong(where, "env FUNCTION_TARGET", "the name of the function", target)
    return FunctionService(
        name=metadata.name,
        target=target,
        source=container.variables.get("FUNCTION_SOURCE", f"functions/{target}/main.py"),
        role=role,
        routes=_routes(where, role, metadata.annotations.get(_ROUTES_ANNOTATION)),
        local_process=metadata.annotations.get(_PROCESS_ANNOTATION) or role,
        env=container.variables,
        concurrency=revision.container_concurrency,
        readiness=container.readiness,
        liveness=container.liveness,
        emits=any(binding.binds(manifest) for binding in bindings),
    )


def _program(where: str, manifest: DeploymentDocument, bindings: Sequence[SinkBindingDocument]) -> Program:
    pod, metadata = manifest.spec.template.spec, manifest.metadata
    container = pod.containers[0]
    if not container.command:
        raise _wrong(where, "command", "what runs, because one machine has no images", container.command)
    return Program(
        name=metadata.annotations.get(_PROCESS_ANNOTATION) or metadata.name,
        command=(*container.command, *container.args),
        env=container.variables,
        readiness=container.readiness,
        liveness=container.liveness,
        grace_s=pod.termination_grace_period_seconds,
        emits=any(binding.binds(manifest) for binding in bindings),
        address_variable=metadata.annotations.get(_ADDRESS_ANNOTATION),
    )


def _role(where: str, value: str | None) -> Role:
    if value in get_args(Role):
        return cast("Role", value)
    raise _wrong(where, f"metadata.labels[{_ROLE_LABEL}]", "event-function or route-group", value)


def _routes(where: str, role: Role, value: str | None) -> tuple[str, ...]:
    field = f"metadata.annotations[{_ROUTES_ANNOTATION}]"
    routes = tuple(route.strip() for route in (value or "").split(",") if route.strip())
    if bool(routes) != (role == "route-group"):
        raise _wrong(where, field, "path prefixes for a route group, and nothing else", value)
    for route in routes:
        if not route.startswith("/") or (route != "/" and route.endswith("/")):
            raise _wrong(where, field, "prefixes such as /data", route)
    return routes


def _trigger(where: str, manifest: TriggerDocument, broker: BrokerSpec) -> Trigger:
    spec = manifest.spec
    if spec.broker != broker.name:
        raise _wrong(where, "spec.broker", broker.name, spec.broker)
    field = f"spec.filters of the Trigger {manifest.metadata.name}"
    filters = _checked(where, field, lambda: tuple(each.to_filter() for each in spec.filters))
    if not filters and spec.filter is not None:
        filters = (spec.filter.to_filter(),)
    return Trigger(
        name=manifest.metadata.name,
        filters=filters,
        subscriber=_checked(where, "spec.subscriber", spec.subscriber.to_service),
        delivery=_effective_delivery(where, spec.delivery, broker.delivery),
        where=where,
    )


def _effective_delivery(where: str, own: DeliveryDocument | None, default: Delivery) -> Delivery:
    """Return what counts: the Trigger's own delivery replaces the Broker's, whose dead-letter sink alone stands in."""
    if own is None:
        return default
    delivery = _checked(where, "spec.delivery", own.to_delivery)
    if delivery.dead_letter_sink is not None:
        return delivery
    return Delivery(
        retry=delivery.retry,
        policy=delivery.policy,
        delay_s=delivery.delay_s,
        timeout_s=delivery.timeout_s,
        dead_letter_sink=default.dead_letter_sink,
    )


def _ping_source(where: str, manifest: PingSourceDocument, broker: BrokerSpec, settings: Settings | None) -> PingSource:
    spec = manifest.spec
    ref = spec.sink.ref
    if ref is None or (ref.kind, ref.name) != ("Broker", broker.name):
        raise _wrong(where, "spec.sink.ref", f"the Broker {broker.name}", spec.sink.uri or (ref and ref.name))
    for name in spec.ce_overrides.extensions:
        if not (name.isascii() and name.isalnum() and name == name.lower()):
            raise _wrong(where, "spec.ceOverrides.extensions", "names of lower-case letters and digits", name)
    cron = _schedule(where, manifest, settings)
    return PingSource(
        name=manifest.metadata.name,
        namespace=manifest.metadata.namespace,
        schedule=_checked(where, "spec.schedule", lambda: Schedule.parse(cron, spec.timezone)),
        content_type=spec.content_type,
        data=_checked(where, "spec.data", lambda: _ping_data(spec)),
        extensions=spec.ce_overrides.extensions,
    )


def _schedule(where: str, manifest: PingSourceDocument, settings: Settings | None) -> str:
    variable = manifest.metadata.annotations.get(_INTERVAL_ANNOTATION)
    if variable is None or settings is None:
        return manifest.spec.schedule
    interval_s = getattr(settings, variable.lower(), None)
    if not isinstance(interval_s, int):
        field = f"metadata.annotations[{_INTERVAL_ANNOTATION}]"
        raise _wrong(where, field, "the variable of an interval, such as ANALYTICS_INTERVAL", variable)
    return _checked(where, variable, lambda: cron_of(interval_s))


def _ping_data(spec: PingSourceSpec) -> bytes:
    if spec.content_type != _JSON or not spec.data:
        return spec.data.encode()
    try:
        fields = msgspec.json.decode(spec.data, type=dict[str, msgspec.Raw])
    except msgspec.MsgspecError as error:
        raise ValueError(f"expected a JSON object with contentType {_JSON}, was {spec.data!r}") from error
    return msgspec.json.encode(fields, order="sorted")


def _checked(where: str, field: str, make: Callable[[], T]) -> T:
    try:
        return make()
    except ValueError as error:
        raise ConfigurationError(f"{where}: {field}: {error}") from error


def _wrong(where: str, field: str, expected: str, value: object) -> ConfigurationError:
    return ConfigurationError(f"{where}: {field}: expected {expected}, was {value!r}")
