"""The streaming engine: holds every open stream and writes to all of them from one loop.

Two ideas carry it. **A stream leaves ASGI at the door**: an HTTP protocol given to uvicorn as
``Config(http=engine.protocol_class())`` recognises a stream request once its headers are in, asks
the pure `tidegate.stream.door`, writes head and first bytes in one write and hands the transport
to a slim `Stream`, so that no task, no queue and no request object lives as long as the stream.
Whatever cannot be taken over goes the ordinary way through ``engine.asgi_app``, by the same
decision. **One log, a cursor per stream, and a sweep**: publishing only appends; the sweep visits
streams in slices and writes to each, in one piece that all at the same cursor share, everything
it lacks. The busier the pod, the more events per write.

How the rest of the sidecar uses it::

    log = EventLog(epoch="k3x", position=0, max_events=10_000, max_bytes=16 << 20)
    engine = Engine(EngineSettings(), log, pod_name="web-1", clock=time.monotonic, loop=loop)
    engine.start()                                   # timers; `stop()` ends them
    engine.publish(LogEntry(1, To(everyone=True), "data", "event"))
    engine.publish_many(entries)                     # from the backplane, in order of `seq`
    await engine.caught_up()                         # back-pressure for a fast reader
    engine.advance(17)                               # a position passed without an event (canary)
    engine.reset_epoch("k4a", position=0)            # the log started anew: everyone gets a `gap`
    engine.let_go(50, Goodbye("drain", 750, 5000))   # and the rest of the `Streams` port
    engine.abort_lingering()                         # nothing that does not read holds the process

`LogEntry` and `EventLog` are in `tidegate.stream.log`. Every call is made on the engine's loop.
"""

from __future__ import annotations

from tidegate_sidecar.engine.engine import Engine
from tidegate_sidecar.engine.listener import tune_listener
from tidegate_sidecar.engine.settings import EngineSettings

__all__ = ["Engine", "EngineSettings", "tune_listener"]
