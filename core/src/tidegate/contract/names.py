"""Names that cross a process boundary: ports, paths, headers, query keys, limits of identifiers.

A name here is spelled nowhere else. The sidecar's settings are in `sidecar`.
"""

from __future__ import annotations

import re

SCHEMA_VERSION = 1
"""Version of the report and the answer; a peer with another one is ignored and counted."""

PUBLIC_PORT = 8080
ADMIN_PORT = 9190
PUBLISH_PORT = 9191
LOOPBACK = "127.0.0.1"
REPORT_PORT = 9443
HEALTH_PORT = 8081

PATH_SUBSCRIBE = "/sse/subscribe/{client_id}"
PATH_ACKNOWLEDGE = PATH_SUBSCRIBE + "/ack"
PATH_EVENTS = "/events"
PATH_PUBLISH = "/publish"
PATH_CLIENTS = "/clients"
PATH_LIVEZ = "/livez"
PATH_READYZ = "/readyz"
PATH_METRICS = "/metrics"
PATH_STATUS = "/status"
PATH_DRAIN_POD = "/drain/pod"
PATH_DRAIN_APP = "/drain/app"
PATH_REPORT = "/v1/report"

QUERY_TOPIC = "topic"
QUERY_HANDOVER = "handover"
QUERY_LAST_EVENT_ID = "last_event_id"
QUERY_LAST_EVENT_ID_ALIASES = ("lastEventId", "Last-Event-ID")
"""As polyfills of EventSource spell it that cannot set a header (Yaffle's), and the header."""

QUERY_STREAM = "stream"
QUERY_LEAST_S = "min_s"
"""Of the application's hook: how long it lasts at least, in seconds."""

HEADER_POD_TOKEN = "X-Tidegate-Token"  # noqa: S105 - the header's name
HEADER_LAST_EVENT_ID = "Last-Event-ID"

LABEL_ADMIT = "tidegate.dev/admit"
LABEL_INJECTED = "tidegate.dev/injected"
ANNOTATION_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"

MODE_STOCK = "stock"
MODE_STOCK_SLEEP = "stock+sleep"
MODE_TIDEGATE = "tidegate"
MODES = (MODE_STOCK, MODE_STOCK_SLEEP, MODE_TIDEGATE)

MAX_NAME_LENGTH = 128
_NAME = re.compile(r"[0-9A-Za-z._:@~-][0-9A-Za-z._:@~/-]{0,127}")
_STREAM_NAME = re.compile(r"[0-9A-Za-z._-]{1,64}")


def is_client_id(text: str) -> bool:
    """Whether `text` may name a client: 1 to 128 of ``0-9 A-Z a-z . _ : @ ~ -``, no slash.

    Not ``.`` and ``..``: clients and proxies resolve these as steps in a path (RFC 3986, 5.2.4).
    """
    return _NAME.fullmatch(text) is not None and "/" not in text and text not in (".", "..")


def is_topic(text: str) -> bool:
    """Whether `text` may name a topic: as a client id, but slashes may stand inside it."""
    return _NAME.fullmatch(text) is not None


def is_stream_name(text: str) -> bool:
    """Whether a client may call a stream `text`: 1 to 64 of ``0-9 A-Z a-z . _ -``."""
    return _STREAM_NAME.fullmatch(text) is not None
