"""The streaming engine: holds every open stream and writes to all of them from one loop.

Two ideas carry it. **A stream leaves ASGI at the door**: an HTTP protocol given to uvicorn as
``Config(http=engine.protocol_class())`` recognises a stream request once its headers are in, asks
the pure `tidegate.stream.door`, writes head and first bytes in one write and hands the transport
to a slim `Stream`, so that no task, no queue and no request object lives as long as the stream.
Whatever cannot be taken over goes the ordinary way through ``engine.asgi_app``, by the same
decision. **One log, a cursor per stream, delivery in passes**: reading only appends; a pass visits
streams in slices and writes to each, in one piece that all at the same cursor share, everything
it lacks. The busier the pod, the more events per write.

How the rest of the sidecar uses it::

    log = EventLog(epoch="k3x", position=0, max_events=10_000, max_bytes=16 << 20)
    engine = Engine(
        StreamSettings(), Limits(), log, pod_name="web-1", clock=time.monotonic, loop=loop
    )
    engine.start()                                   # timers; `stop()` ends them
    await backplane.start(engine.reader)             # which appends, and waits for the streams
    engine.let_go(50, Goodbye("drain", 750, 5000))   # and the rest of the `Streams` port
    engine.abort_lingering()                         # nothing that does not read holds the process

Every call is made on the engine's loop. The modules, from the top; none imports one above itself:

engine            puts the parts together; the `Streams` port
ways              the two ways in, bound to one admission
fast_path         a new connection: a whole, plain stream request never meets the web server
http_protocol     all other connections: uvicorn's protocol, with the door asked at each head
handoff           a connection that has left the web server, until it has its answer
asgi              the way for what cannot be taken over, and for other servers
expiries          streams whose token ends
admission         the door asked, counted; a new stream entered and opened
reader            the backplane's log into the ring
housekeeping      heartbeats, time-outs, positions for quiet streams
closer            goodbyes, deadlines, cuts
delivery          writes to all streams in slices: passes, late ones, replays
single            writes to one stream, read from the log for it alone
registry          the open streams, by kind and age, by client, by audience
answers           the door's decisions as bytes
request_headers   a head as a `StreamRequest`
stream, phase     one stream's state, and the table of its life
counters          the totals for `/metrics`
memory            what streams cost, as one budget
public_limits     bounds of the connections that are no streams
listener          socket options of the public port
"""

from __future__ import annotations

from tidegate_sidecar.engine.engine import Engine
from tidegate_sidecar.engine.listener import tune_listener

__all__ = ["Engine", "tune_listener"]
