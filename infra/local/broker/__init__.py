"""The broker of one machine: takes events over HTTP, keeps them on JetStream, delivers them as Knative's does.

::

    ingress ──▶ broker ──▶ store (JetStream), one copy for each Trigger whose filters pass the event
                  │
                  └──▶ route of the Trigger ──▶ poster ──▶ subscriber
                                                  │ └─ reply ──▶ broker
                                                  └──▶ dead-letter sink

It keeps the rules that an event's sender and subscribers can observe (filters, statuses, retries and their waits, dead
letters, replies, TTL); it is no replacement for the platform. An event leaves the store when its subscriber or its
dead-letter sink took it, and not before.
"""
