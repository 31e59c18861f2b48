"""The events that listeners get in a real browser: tidegate/eventsource beside the native one."""

from __future__ import annotations

import pytest
from client.scripted_server import connected, ended, event, scripted, shutdown
from kit.browsers import browser_context, open_page, until_true

SCRIPT = """
import {EventSource as TidegateEventSource} from './eventsource.js'

const logs = {native: [], client: []}
const types = ['open', 'error', 'message', 'connected', 'shutdown', 'gap', 'news']
const follow = (name, Kind) => {
  const log = logs[name]
  const source = new Kind('/events')
  const note = (said) => {
    const kind = said instanceof MessageEvent ? 'MessageEvent' : 'Event'
    log.push([kind, said.type, said.data, said.lastEventId, said.origin])
    if (kind === 'Event' && said.type === 'error') source.close()
  }
  for (const type of types) source.addEventListener(type, note)
}
Object.assign(globalThis, {
  logs,
  followNatively: () => follow('native', EventSource),
  followWithClient: () => follow('client', TidegateEventSource)
})
"""

pytestmark = pytest.mark.usefixtures("built")


async def test_listeners_get_the_events_that_the_native_one_gives() -> None:
    # Not a Tidegate stream, as its first event is another: every name is the application's own.
    named = [event(f"e-{n}", f"data of {n}", n) for n in ("open", "error", "message", "news")]
    blocks = [*named, connected("a", "e-5"), event("e-6", "{}", "gap"), shutdown("e-7")]
    async with scripted(ended(*blocks)) as server, browser_context(SCRIPT) as context:
        page = await open_page(context, int(server.url.split(":")[2].split("/")[0]))
        for follow in ("followNatively", "followWithClient"):
            await page.evaluate(f"{follow}()")
        ended_by_error = "([kind, type]) => kind === 'Event' && type === 'error'"
        for name in ("native", "client"):
            await until_true(page, f"logs.{name}.some({ended_by_error})")
        logs = await page.evaluate("logs")
    kinds = [(kind, said) for kind, said, *_ in logs["native"]]
    assert kinds[:3] == [("Event", "open"), ("MessageEvent", "open"), ("MessageEvent", "error")]
    assert len(logs["native"]) == len(blocks) + 2
    assert logs["client"] == logs["native"]
