"""A connection that has left the web server and is not a stream yet: it gets the door's answer.

Usually that is one step. A stream that is to go on from what its client acknowledged waits here
while that is looked up; nothing is read from its socket in that time, so that the stream
finds whatever the client does during it, as it would be without the wait.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tidegate.stream.decisions import Accept, Bounce, Decision, Recall, Refuse
from tidegate_sidecar.engine.admission import Admission
from tidegate_sidecar.engine.answers import Heads, UnframingTransport
from tidegate_sidecar.engine.stream import StreamTransport


@dataclass(slots=True)
class Handoff:
    """`heads` are the answers' first lines for this origin; `chunked` false for HTTP/1.0.

    `tasks` are the web server's, which waits for those when it stops.
    """

    admission: Admission
    transport: asyncio.Transport
    heads: Heads
    chunked: bool
    tasks: set[asyncio.Task[None]]

    def answer(self, decision: Decision) -> None:
        """Make it a stream, look up its position first, or answer the refusal and close."""
        if isinstance(decision, Accept):
            self._become_stream(decision)
        elif isinstance(decision, Recall):
            self.transport.pause_reading()
            task = asyncio.get_running_loop().create_task(self._look_up(decision), name="recall")
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        else:
            if isinstance(decision, Bounce):
                self.transport.write(self.heads.bounce(decision, chunked=self.chunked))
            elif isinstance(decision, Refuse):
                self.transport.write(self.heads.refusal(decision))
            self.transport.close()

    async def _look_up(self, recall: Recall) -> None:
        """Answer once the acknowledged position has been looked up."""
        try:
            decision = await self.admission.decide_recalled(recall, "takeover")
        except BaseException:
            self.transport.abort()
            raise
        if not self.transport.is_closing():
            self.answer(decision)
            self.transport.resume_reading()

    def _become_stream(self, accepted: Accept) -> None:
        transport = self.transport
        head = self.heads.chunked
        over: StreamTransport = transport
        if not self.chunked:
            transport.write(self.heads.unframed)
            head, over = b"", UnframingTransport(transport)
        stream = self.admission.admit(over, accepted)
        transport.set_protocol(stream)
        # Any byte left behind pauses the stream: what it lacks is in the ring, not here.
        transport.set_write_buffer_limits(high=0)
        self.admission.open_with(stream, accepted, head)
