"""A shared log on NATS JetStream.

log           the backplane: opens the stream, appends, reads, reconnects
appender      many appends at once, each acknowledged, repeated while it may help
subscription  one ephemeral push consumer, checked message by message
acks          acknowledged positions, one message per key
problems      why the log cannot be opened, with the fix
settings      names, bounds, and the configuration of a stream that Tidegate makes
"""
