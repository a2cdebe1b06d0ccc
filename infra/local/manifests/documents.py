"""The manifests as they are written. Fields that nothing here reads are named too: any other is refused."""

from datetime import timedelta
from typing import Any, Literal

import msgspec

from infra.local.broker.filters import FilterManifest, LegacyFilter
from infra.local.manifests.model import BackoffPolicy, Delivery, Destination, HttpProbe


class Document(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """Base of all documents and their parts."""


class Metadata(Document):
    """What every resource has: its name, where, and what is noted at it."""

    name: str
    namespace: str = "default"
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class Reference(Document):
    """Another resource, by kind and name."""

    api_version: str
    kind: str
    name: str
    namespace: str | None = None


class DestinationDocument(Document):
    """Where events go: a reference or a URI, one of the two."""

    ref: Reference | None = None
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


class DeliveryDocument(Document):
    """How events are delivered."""

    retry: int = 0
    backoff_policy: BackoffPolicy = "exponential"
    backoff_delay: str = "PT0S"
    timeout: str | None = None
    dead_letter_sink: DestinationDocument | None = None
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


def _platform_delivery() -> DeliveryDocument:
    """Return what the platform's own configuration (``config-br-defaults``) gives a Broker without ``delivery``."""
    return DeliveryDocument(retry=10, backoff_policy="exponential", backoff_delay="PT0.2S")


class _BrokerSpec(Document):
    config: Reference | None = None
    delivery: DeliveryDocument = msgspec.field(default_factory=_platform_delivery)


class BrokerDocument(Document, tag_field="kind", tag="Broker"):
    """A Broker."""

    api_version: Literal["eventing.knative.dev/v1"]
    metadata: Metadata
    spec: _BrokerSpec


class _TriggerSpec(Document):
    broker: str
    subscriber: DestinationDocument
    filter: LegacyFilter | None = None
    filters: list[FilterManifest] = []
    delivery: DeliveryDocument | None = None


class TriggerDocument(Document, tag_field="kind", tag="Trigger"):
    """A Trigger."""

    api_version: Literal["eventing.knative.dev/v1"]
    metadata: Metadata
    spec: _TriggerSpec


class _Overrides(Document):
    extensions: dict[str, str] = {}


class PingSourceSpec(Document):
    """What a PingSource sends, when and where."""

    schedule: str
    sink: DestinationDocument
    timezone: str = "UTC"
    content_type: str | None = None
    data: str = ""
    ce_overrides: _Overrides = msgspec.field(default_factory=_Overrides)


class PingSourceDocument(Document, tag_field="kind", tag="PingSource"):
    """A PingSource."""

    api_version: Literal["sources.knative.dev/v1"]
    metadata: Metadata
    spec: PingSourceSpec


class _Match(Document):
    match_labels: dict[str, str]


class _Subject(Document):
    api_version: str
    kind: str
    namespace: str | None = None
    name: str | None = None
    selector: _Match | None = None


class _SinkBindingSpec(Document):
    subject: _Subject
    sink: DestinationDocument


class SinkBindingDocument(Document, tag_field="kind", tag="SinkBinding"):
    """A SinkBinding: gives its subjects the address of the sink."""

    api_version: Literal["sources.knative.dev/v1"]
    metadata: Metadata
    spec: _SinkBindingSpec

    def binds(self, document: "ServiceDocument | DeploymentDocument") -> bool:
        """Tell whether a resource is among its subjects."""
        subject, metadata = self.spec.subject, document.metadata
        kind = "Deployment" if isinstance(document, DeploymentDocument) else "Service"
        if (subject.api_version, subject.kind) != (document.api_version, kind):
            return False
        if subject.selector is None:
            return subject.name == metadata.name
        return subject.selector.match_labels.items() <= metadata.labels.items()


class _HttpGet(Document):
    path: str = "/"
    port: int | str | None = None  # on one machine a part has one port, whatever its number


class ProbeDocument(Document):
    """A probe of a container."""

    http_get: _HttpGet
    initial_delay_seconds: int = 0
    period_seconds: int | None = None
    timeout_seconds: int | None = None
    failure_threshold: int = 3
    success_threshold: Literal[1] = 1

    def to_probe(self, *, usual_period_s: float, usual_timeout_s: float) -> HttpProbe:
        """Return the probe that this part describes; the usual values stand where it says nothing."""
        return HttpProbe(
            path=self.http_get.path,
            period_s=self.period_seconds or usual_period_s,
            timeout_s=self.timeout_seconds or usual_timeout_s,
            failures=self.failure_threshold,
            delay_s=self.initial_delay_seconds,
        )


class _Variable(Document):
    name: str
    value: str | None = None
    value_from: dict[str, Any] | None = None


class _Container(Document):
    image: str
    name: str | None = None
    args: list[str] = []
    command: list[str] = []
    env: list[_Variable] = []
    env_from: list[dict[str, Any]] = []
    image_pull_policy: str | None = None
    liveness_probe: ProbeDocument | None = None
    ports: list[dict[str, Any]] = []
    readiness_probe: ProbeDocument | None = None
    resources: dict[str, Any] = {}
    security_context: dict[str, Any] = {}
    volume_mounts: list[dict[str, Any]] = []

    @property
    def variables(self) -> dict[str, str]:
        """The environment, as far as it stands in the manifest."""
        return {each.name: each.value for each in self.env if each.value is not None}

    @property
    def readiness(self) -> HttpProbe | None:
        """Whether it would serve. Of a function that names no period the platform asks as it sees fit."""
        return self.readiness_probe.to_probe(usual_period_s=5, usual_timeout_s=3) if self.readiness_probe else None

    @property
    def liveness(self) -> HttpProbe | None:
        """Whether it has to be started again; the platform's defaults stand in."""
        return self.liveness_probe.to_probe(usual_period_s=10, usual_timeout_s=1) if self.liveness_probe else None


class _PodSpec(Document):
    containers: list[_Container]
    automount_service_account_token: bool | None = None
    enable_service_links: bool | None = None
    image_pull_secrets: list[dict[str, Any]] = []
    service_account_name: str | None = None
    volumes: list[dict[str, Any]] = []

    def __post_init__(self) -> None:
        if len(self.containers) != 1:
            raise ValueError(f"containers: expected one, was {len(self.containers)}")


class _RevisionSpec(_PodSpec):
    container_concurrency: int = 0
    timeout_seconds: int | None = None
    response_start_timeout_seconds: int | None = None
    idle_timeout_seconds: int | None = None


class _DeployedSpec(_PodSpec):
    affinity: dict[str, Any] = {}
    security_context: dict[str, Any] = {}
    termination_grace_period_seconds: float = 30
    topology_spread_constraints: list[dict[str, Any]] = []


class _TemplateMetadata(Document):
    name: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class _Revision(Document):
    spec: _RevisionSpec
    metadata: _TemplateMetadata | None = None


class _ServiceSpec(Document):
    template: _Revision
    traffic: list[dict[str, Any]] = []


class ServiceDocument(Document, tag_field="kind", tag="Service"):
    """A Knative Service."""

    api_version: Literal["serving.knative.dev/v1"]
    metadata: Metadata
    spec: _ServiceSpec


class _Pod(Document):
    spec: _DeployedSpec
    metadata: _TemplateMetadata | None = None


class _DeploymentSpec(Document):
    selector: _Match
    template: _Pod
    replicas: int = 1
    revision_history_limit: int | None = None
    strategy: dict[str, Any] = {}


class DeploymentDocument(Document, tag_field="kind", tag="Deployment"):
    """A Deployment."""

    api_version: Literal["apps/v1"]
    metadata: Metadata
    spec: _DeploymentSpec


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
