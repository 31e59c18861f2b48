"""The log between pods: three ports, and the engines behind them.

port       what a backplane promises: `Log`, `Acks`, `Health`
choice     the backplane that the settings name
entries    an event as the body of an entry
memory/    within one process
jetstream/ over NATS JetStream

Events are never stored by our own code: an existing engine does it, whose documentation states
what survives a power cut.
"""
