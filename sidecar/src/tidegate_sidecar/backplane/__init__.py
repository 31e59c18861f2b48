"""The log between pods: one port, and the engines behind it.

`port` says what a backplane promises; `memory` keeps it within one process, `jetstream` over a
NATS server. We never store events ourselves: an existing engine does, and its own docs say what
survives a power cut. `choice` makes the one that the settings name.
"""
