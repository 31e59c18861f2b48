"""Watching with kopf: every event of every watched kind goes into the inbox, nothing else happens.

Only ``on.event``: it is level-triggered and writes nothing, while kopf's other handlers leave
annotations and finalizers behind. kopf lists, watches, reconnects and detects silent streams; what
it misses (deletions while reconnecting) is found by `freshness`. When a watch fails
permanently kopf's operator ends, and the process with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import kopf

from tidegate_kubernetes.api import Access
from tidegate_kubernetes.kinds import KINDS, Kind
from tidegate_kubernetes.objects import Raw

SERVER_TIMEOUT_S: Final = 300
"""Watches are renewed at least this often, so that none outlives what a middlebox allows.

A whole number: the API server refuses ``timeoutSeconds=300.0``.
"""

CHUNK_SIZE: Final = 500

IDENTITY: Final = "tidegate"
"""Unused: it identifies peers, and peering is off."""

Inbox = Callable[[Kind, str | None, Raw], None]
"""Takes (kind, event type, object): type is ``None`` for a first listing, else the API's event
type.
"""


async def watch(
    access: Access, namespaces: Sequence[str], inbox: Inbox, stop: asyncio.Event
) -> None:
    """Watch until `stop`; raises what ended a watch. Empty `namespaces` means all of them."""
    await kopf.operator(
        # Without one kopf asks for the user's name, which a container's uid need not have.
        identity=IDENTITY,  # type: ignore[arg-type]  # a NewType of str that kopf does not export
        registry=_registry(access, inbox),
        settings=_settings(),
        standalone=True,
        clusterwide=not namespaces,
        namespaces=namespaces,
        stop_flag=stop,
    )


def _registry(access: Access, inbox: Inbox) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        return access.kopf_login(**kwargs)

    kopf.on.login(registry=registry, errors=kopf.ErrorsMode.TEMPORARY, backoff=1.0)(login)
    for kind in KINDS:
        kopf.on.event(kind.group, kind.version, kind.plural, registry=registry, id=kind.plural)(
            _handler(kind, inbox)
        )
    return registry


def _handler(kind: Kind, inbox: Inbox) -> Callable[..., Any]:
    async def take(event: kopf.RawEvent, **_: Any) -> None:
        inbox(kind, event["type"], event["object"])

    return take


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    # No dynamic scan for namespaces and CRDs: it would need the right to list both.
    settings.scanning.disabled = True
    settings.watching.server_timeout = SERVER_TIMEOUT_S
    settings.watching.chunk_size = CHUNK_SIZE
    # kopf would kill the thread it runs in, which here is not the whole process.
    settings.process.ultimate_exiting_timeout = None
    for kind in KINDS:
        if kind.selector:
            selected = (kind.group, kind.version, kind.plural)
            settings.watching.label_selectors[selected] = kind.selector
    return settings
