"""From JetStream to CloudEvents: raw market messages, in batches of one kind, to the event sink.

The whole path stands in design.md, "Path of a message".

``python -m triggers.nats_bridge`` runs it. A message is acknowledged when the sink has taken the event that holds it,
or when it was kept as a dead letter; until then the server delivers it again. Several processes share one consumer.

``pipeline`` is the way of a message, from its arrival to the answer to the server; ``batch`` is what travels there.
``pulling`` asks the server for messages, ``rejection`` keeps what can never be processed, ``provisioning`` makes the
streams and the consumer, ``connection`` holds the connection, ``nats_wire`` is all that relies on parts of the client
library that are not public, ``health`` answers probes.
"""
