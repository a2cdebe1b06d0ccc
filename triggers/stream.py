"""The JetStream stream that captures the market subject: bridge and feeds create it alike when it is missing."""

import logging
from typing import Final

from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, NotFoundError, ServiceUnavailableError

from common.errors import ConfigurationError
from common.settings import Settings, duration_ms

log = logging.getLogger(__name__)

# How long the server remembers message ids: longer than it takes to start again.
DUPLICATE_WINDOW_S: Final = 120.0
_NAME_IN_USE: Final = 10058
_SUBJECTS_OVERLAP: Final = 10065


def stream_config(settings: Settings) -> StreamConfig:
    """Return the definition of the stream: on file, limited in age and size, the oldest discarded first."""
    max_age_s = duration_ms(settings.nats_stream_max_age) / 1000
    return StreamConfig(
        name=settings.nats_stream,
        subjects=[settings.nats_consumer_subject],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        max_age=max_age_s,
        max_bytes=settings.nats_stream_max_bytes,
        duplicate_window=min(DUPLICATE_WINDOW_S, max_age_s),
    )


def captures(pattern: str, subject: str) -> bool:
    """Tell whether a stream's subject ``pattern`` (``*``: one token; ``>`` at its end: the rest) holds ``subject``."""
    wanted, given = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted, given = wanted[:-1], given[: len(wanted) - 1] if len(given) >= len(wanted) else []
    return len(wanted) == len(given) and all(w in ("*", g) for w, g in zip(wanted, given, strict=True))


async def ensure_stream(js: JetStreamContext, settings: Settings) -> None:
    """Create the stream when it is missing; one that exists keeps the limits that its operator gave it.

    Raises:
        ConfigurationError: the existing stream does not capture the subject, or the server refused to create it.
        nats.errors.Error: the server did not answer; ask again.
    """
    subject = settings.nats_consumer_subject
    try:
        existing = (await js.stream_info(settings.nats_stream)).config
    except NotFoundError:
        await _create(js, settings)
        return
    if not any(captures(pattern, subject) for pattern in existing.subjects or []):
        raise ConfigurationError(
            f"NATS_STREAM: expected a stream that captures {subject}, was {settings.nats_stream} on "
            f"{existing.subjects}: name another stream, or add the subject to this one"
        )


async def _create(js: JetStreamContext, settings: Settings) -> None:
    try:
        await js.add_stream(stream_config(settings))
    except ServiceUnavailableError:
        raise
    except APIError as error:
        if error.err_code == _NAME_IN_USE:  # another process was quicker, with limits of its own
            return
        if error.err_code == _SUBJECTS_OVERLAP:
            raise ConfigurationError(
                f"NATS_STREAM: another stream already captures {settings.nats_consumer_subject}: name that one"
            ) from error
        raise ConfigurationError(f"NATS_STREAM: the server refused to create it: {error.description}") from error
    log.info("stream created", extra={"stream": settings.nats_stream, "subject": settings.nats_consumer_subject})
