"""Makes the streams and the consumer when they are missing, and brings those that exist to the settings."""

import logging
from typing import Final

from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import BadRequestError, NotFoundError, ServerError

from common.errors import ConfigurationError
from common.settings import Settings, duration_ms
from triggers.nats_bridge.limits import Limits
from triggers.stream import ensure_stream, stream_config

log = logging.getLogger(__name__)

_DEAD_LETTER_BYTES: Final = 1024**3
_DUPLICATE_WINDOW_S: Final = 120.0


async def provision(js: JetStreamContext, settings: Settings, limits: Limits) -> None:
    """Make sure that there are the stream, the stream of dead letters, and the consumer.

    Raises:
        ConfigurationError: what exists cannot be used, or the server refuses what is missing.
        nats.errors.Error: the server did not answer; ask again.
    """
    await ensure_stream(js, settings)
    await _adopt_limits(js, stream_config(settings))
    await _ensure_dead_letters(js, settings)
    await _ensure_consumer(js, settings, limits)


def dead_letter_stream(settings: Settings) -> str:
    """Return the name of the stream that keeps what can never be processed."""
    return f"{settings.nats_stream}_DEAD_LETTERS"


async def _adopt_limits(js: JetStreamContext, wanted: StreamConfig) -> None:
    existing = (await js.stream_info(wanted.name or "")).config
    bounds = {"max_age": wanted.max_age, "max_bytes": wanted.max_bytes, "discard": wanted.discard}
    changes = {name: value for name, value in bounds.items() if getattr(existing, name) != value}
    if not changes:
        return
    shown = {"stream": wanted.name, "changes": {name: str(value) for name, value in changes.items()}}
    try:
        await js.update_stream(existing.evolve(**changes))
    except (BadRequestError, ServerError) as error:
        log.warning("the stream keeps its limits", extra={**shown, "error": str(error)})
    else:
        log.info("limits of the stream changed", extra=shown)


async def _ensure_dead_letters(js: JetStreamContext, settings: Settings) -> None:
    retention = settings.petrosa_retention_dead_letter
    name = dead_letter_stream(settings)
    try:
        await js.stream_info(name)
    except NotFoundError:
        config = StreamConfig(
            name=name,
            subjects=[settings.nats_dead_letter_subject],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            discard=DiscardPolicy.OLD,
            max_age=duration_ms(retention) / 1000 if retention else 0,
            max_bytes=min(_DEAD_LETTER_BYTES, settings.nats_stream_max_bytes),
            duplicate_window=_DUPLICATE_WINDOW_S,
        )
        try:
            await js.add_stream(config)
        except (BadRequestError, ServerError) as error:
            raise ConfigurationError(
                f"NATS_DEAD_LETTER_SUBJECT: the server refused a stream for it: {error.description}"
            ) from error
        log.info("stream created", extra={"stream": name})


async def _ensure_consumer(js: JetStreamContext, settings: Settings, limits: Limits) -> None:
    stream = await js.stream_info(settings.nats_stream)
    subject = settings.nats_consumer_subject
    wanted = ConsumerConfig(
        durable_name=settings.nats_consumer,
        ack_policy=AckPolicy.EXPLICIT,
        deliver_policy=DeliverPolicy.ALL,
        ack_wait=limits.ack_wait_s,
        max_deliver=-1,
        max_ack_pending=limits.max_ack_pending,
        filter_subject=None if stream.config.subjects == [subject] else subject,
    )
    try:
        existing = (await js.consumer_info(settings.nats_stream, settings.nats_consumer)).config
    except NotFoundError:
        await _put_consumer(js, settings, wanted)
        log.info("consumer created", extra={"stream": settings.nats_stream, "consumer": settings.nats_consumer})
        return
    if existing.deliver_subject or existing.ack_policy != AckPolicy.EXPLICIT:
        raise ConfigurationError(
            f"NATS_CONSUMER: expected a pull consumer with explicit acks, was another one named "
            f"{settings.nats_consumer}: name another one, or delete it"
        )
    names = ("ack_wait", "max_deliver", "max_ack_pending", "filter_subject")
    if any((getattr(existing, name) or None) != (getattr(wanted, name) or None) for name in names):
        await _put_consumer(js, settings, wanted.evolve(deliver_policy=existing.deliver_policy))
        log.info("consumer changed", extra={"stream": settings.nats_stream, "consumer": settings.nats_consumer})


async def _put_consumer(js: JetStreamContext, settings: Settings, config: ConsumerConfig) -> None:
    try:
        await js.add_consumer(settings.nats_stream, config)
    except (BadRequestError, ServerError) as error:
        raise ConfigurationError(f"NATS_CONSUMER: the server refused it: {error.description}") from error
