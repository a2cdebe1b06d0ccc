"""The broker of one machine: takes events over HTTP, loses none of them, delivers them as Knative's does.

::

    ingress ──▶ broker ──▶ route of each Trigger whose filters pass the event ──▶ poster ──▶ subscriber
                  │                                                                │ └─ reply ──▶ broker
                  └──▶ store (JetStream): the copies not delivered yet             └──▶ dead-letter sink

It keeps the rules that an event's sender and subscribers can observe (filters, statuses, retries and their waits, dead
letters, replies, TTL); it is no replacement for the platform. An event leaves the store when its subscriber or its
dead-letter sink took it, and not before.
"""
