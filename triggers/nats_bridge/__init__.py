"""From JetStream to CloudEvents: raw market messages, in batches of one kind, to the event sink (DESIGN §2).

``python -m triggers.nats_bridge`` runs it. A message is acknowledged when the sink has taken the event that holds it,
or when it was kept as a dead letter; until then the server delivers it again. Several processes share one consumer.

The parts, in the way of a message: ``pulling`` asks the server for messages, ``direct`` takes them off the connection,
``batching`` groups them, ``outbox`` hands batches to ``sink`` and settles them with ``acks``. ``rejection`` keeps what
can never be processed. ``provisioning`` makes the streams and the consumer, ``connection`` holds the connection,
``health`` answers probes.
"""
