"""The ways into one engine, bound to its admission: an HTTP protocol for uvicorn, an ASGI app."""

from __future__ import annotations

from starlette.types import ASGIApp

from tidegate_process.ports import Port
from tidegate_sidecar.cross_origin import cross_origin
from tidegate_sidecar.engine.admission import Admission
from tidegate_sidecar.engine.asgi import AsgiStreams
from tidegate_sidecar.engine.fast_path import FastPathProtocol
from tidegate_sidecar.engine.http_protocol import HttpProtocol


def protocol_class(admission: Admission, port: Port) -> type[FastPathProtocol]:
    """The protocol for ``uvicorn.Config(http=...)``, which makes its objects without arguments."""
    ordinary = type("BoundHttpProtocol", (HttpProtocol,), {"admission": admission, "port": port})
    bound = {"__slots__": (), "admission": admission, "port": port, "ordinary": ordinary}
    return type("BoundFastPathProtocol", (FastPathProtocol,), bound)


def asgi_app(admission: Admission) -> ASGIApp:
    """The stream routes as an ASGI application, with CORS."""
    return cross_origin(AsgiStreams(admission), admission.cors, admission.refuse)
