"""The rules of proxy mode: what may be forwarded, and where a stream may be left.

Between an application that streams by itself and its clients, everything is passed on as it came;
only into an endless event stream something is put, and only between two events. Pure: bytes go in
as they arrive, split anywhere, and decisions come out.

- `heads`: request and response heads as a strict reader understands them
- `forwarding`: heads as they are sent on
- `bodies`: where a body ends, and chunk framing
- `boundaries`: where an event ends
- `kinds`: which streams must finish (*finite*) and which are let go at a slot (*endless*)
- `plans`: how an answer reaches its client
- `insertions`: the bytes that are ours
"""
