"""Publishes a tick each second to the sidecar of its own pod; every client of every pod gets it.

curl -N http://ticker-sse/events?topic=ticks
"""

import http.client
import json
import os
import signal
import sys
import time

PUBLISH_PORT = int(os.environ.get("TIDEGATE_PUBLISH_PORT", "9191"))


def publish(data: str) -> None:
    """Hand one event to the sidecar; raises `OSError` where it was not accepted."""
    event = {"to": {"topics": ["ticks"]}, "event": "tick", "data": data}
    connection = http.client.HTTPConnection("127.0.0.1", PUBLISH_PORT, timeout=5)
    try:
        connection.request("POST", "/publish", json.dumps(event))
        answer = connection.getresponse()
        if answer.status != http.client.ACCEPTED:
            raise OSError(f"{answer.status}: {answer.read().decode()}")
    finally:
        connection.close()


# The first process of a container dies of no signal that it does not handle.
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
pod = os.environ.get("HOSTNAME", "?")
while True:
    try:
        publish(f"{time.strftime('%H:%M:%S')} from {pod}")
    except (OSError, http.client.HTTPException) as error:
        # 503 while the backplane is away: nothing was accepted, the next tick is another event.
        sys.stderr.write(f"not published: {error}\n")
    time.sleep(1)
