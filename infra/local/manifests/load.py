"""Reads the deployed manifests as the parts of one machine need them: Services, Triggers, PingSources and the Broker.

This is their only reader. It is as strict as the cluster's admission on what it reads, and says which file and which
field is wrong; it is no substitute for the schemas of the resources, which the tests check.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar, cast, get_args

import msgspec
import yaml

from common.errors import ConfigurationError
from infra.local.manifests.documents import (
    BrokerDocument,
    DeliveryDocument,
    PingSourceDocument,
    PingSourceSpec,
    ServiceDocument,
    TriggerDocument,
)
from infra.local.manifests.model import (
    BrokerSpec,
    Delivery,
    FunctionService,
    Manifests,
    PingSource,
    Role,
    Trigger,
)
from infra.local.manifests.schedule import Schedule

_ROLE_LABEL: Final = "petrosa.io/role"
_ROUTES_ANNOTATION: Final = "petrosa.io/routes"
_PROCESS_ANNOTATION: Final = "petrosa.io/local-process"
_JSON: Final = "application/json"


def load_manifests(project_dir: Path) -> Manifests:
    """Read the manifests of a project.

    Args:
        project_dir: folder that holds ``functions/``, ``triggers/`` and ``infra/``.

    Raises:
        ConfigurationError: a manifest is missing or wrong; the text names file and field.
    """
    broker = _broker(project_dir / "infra" / "base" / "broker.yaml")
    services = _documents(project_dir, "functions/*/service.yaml", ServiceDocument)
    triggers = _documents(project_dir, "functions/*/trigger.yaml", TriggerDocument)
    ping_sources = _documents(project_dir, "triggers/cron/*.yaml", PingSourceDocument)
    _check_names(services, broker.namespace)
    _check_names(triggers, broker.namespace)
    _check_names(ping_sources, broker.namespace)
    return Manifests(
        broker=broker,
        services=tuple(_service(file, each, project_dir) for file, each in services),
        triggers=tuple(_trigger(file, each, broker) for file, each in triggers),
        ping_sources=tuple(_ping_source(file, each, broker) for file, each in ping_sources),
    )


M = TypeVar("M", BrokerDocument, TriggerDocument, PingSourceDocument, ServiceDocument)
Manifest = TriggerDocument | PingSourceDocument | ServiceDocument


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
    found = list(_read(file, BrokerDocument))
    if len(found) != 1:
        raise ConfigurationError(f"{file}: expected one Broker, was {len(found)}")
    delivery = _checked(file, "spec.delivery", found[0].spec.delivery.to_delivery)
    return BrokerSpec(found[0].metadata.name, found[0].metadata.namespace, delivery)


def _service(file: Path, manifest: ServiceDocument, project_dir: Path) -> FunctionService:
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


def _trigger(file: Path, manifest: TriggerDocument, broker: BrokerSpec) -> Trigger:
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


def _effective_delivery(file: Path, own: DeliveryDocument | None, default: Delivery) -> Delivery:
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


def _ping_source(file: Path, manifest: PingSourceDocument, broker: BrokerSpec) -> PingSource:
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


def _ping_data(spec: PingSourceSpec) -> bytes:
    if spec.content_type != _JSON or not spec.data:
        return spec.data.encode()
    try:
        fields = msgspec.json.decode(spec.data, type=dict[str, msgspec.Raw])
    except msgspec.MsgspecError as error:
        raise ValueError(f"expected a JSON object with contentType {_JSON}, was {spec.data!r}") from error
    return msgspec.json.encode(fields, order="sorted")


T = TypeVar("T")


def _checked(file: Path, field: str, make: Callable[[], T]) -> T:
    try:
        return make()
    except ValueError as error:
        raise ConfigurationError(f"{file}: {field}: {error}") from error


def _wrong(file: Path, field: str, expected: str, value: object) -> ConfigurationError:
    return ConfigurationError(f"{file}: {field}: expected {expected}, was {value!r}")
