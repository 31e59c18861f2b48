"""A connection that has left the web server and is not a stream yet: it gets the door's answer.

Usually that is one step. A stream that is to go on from what its client acknowledged waits here
while that is looked up; nothing is read from its socket meanwhile, so that whatever the client
does in that time is found by the stream, as it would be without the wait.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate.stream.door import Accept, Bounce, Decision, Recall, Refuse
from tidegate_sidecar.engine.answers import Heads, UnframingTransport

if TYPE_CHECKING:
    from tidegate_sidecar.engine.engine import Engine
    from tidegate_sidecar.engine.stream import StreamTransport


@dataclass(slots=True)
class Handoff:
    """`heads` are the answers' first lines for this origin; `chunked` false for HTTP/1.0.

    `tasks` are the web server's, which waits for those when it stops.
    """

    engine: Engine
    transport: asyncio.Transport
    heads: Heads
    chunked: bool
    tasks: set[asyncio.Task[None]]

    def answer(self, decision: Decision) -> None:
        """Make it a stream, look up where that goes on, or say why not and close."""
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
        """Answer once it is known what was kept; the pod may have changed its mind meanwhile."""
        try:
            recalled = await self.engine.recall(recall.key)
        except BaseException:
            self.transport.abort()
            raise
        if not self.transport.is_closing():
            self.answer(self.engine.decide(recall.answered(recalled), "takeover"))
            self.transport.resume_reading()

    def _become_stream(self, accepted: Accept) -> None:
        transport = self.transport
        head = self.heads.chunked
        over: StreamTransport = transport
        if not self.chunked:
            transport.write(self.heads.unframed)
            head, over = b"", UnframingTransport(transport)
        stream = self.engine.admit(over, accepted)
        transport.set_protocol(stream)
        # Any byte left behind pauses the stream: what it lacks is in the ring, not here.
        transport.set_write_buffer_limits(high=0)
        self.engine.open_with(stream, accepted, head)
