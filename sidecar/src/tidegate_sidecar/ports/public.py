"""The public port beside streams: a page for people, and 404 for the rest.

Streams are recognised before ASGI is reached (the engine's protocol class); what the engine could
not take over there comes back to it here. Publish and admin are not on this port.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tidegate.contract import names
from tidegate.contract.errors import CallerError
from tidegate.stream.cors import CorsPolicy
from tidegate.stream.decisions import Refuse
from tidegate.stream.requests import is_acknowledge_path
from tidegate_process.http import make_app
from tidegate_sidecar.asgi import raw_path
from tidegate_sidecar.cross_origin import cross_origin
from tidegate_sidecar.metrics import Metrics

_SUBSCRIBE = names.PATH_SUBSCRIBE.partition("{")[0]
_WORDS = (
    "Tidegate streams Server-Sent Events here:\n"
    f"  GET {names.PATH_SUBSCRIBE}\n"
    f"  GET {names.PATH_EVENTS}?{names.QUERY_TOPIC}=NAME\n"
    f"  POST {names.PATH_ACKNOWLEDGE}?{names.QUERY_STREAM}=NAME\n"
)


def make_public_app(
    streams: ASGIApp, acknowledge: ASGIApp, cors: CorsPolicy, metrics: Metrics
) -> ASGIApp:
    """The ASGI application, by the rules of `cors`, which `streams` minds itself.

    `streams` serves the paths of streams, `acknowledge` the one beside.
    """

    async def root(_: Request) -> Response:
        return PlainTextResponse(_WORDS)

    def refuse(error: CallerError) -> Refuse:
        metrics.refused("public", error.code)
        return Refuse(error)

    words = make_app([Route("/", root)], lambda error: metrics.refused("public", error))
    # A page that has mistaken the path must be able to read that, or it would try for ever.
    rest = cross_origin(words, cors, refuse)
    acknowledgements = cross_origin(acknowledge, cors, refuse)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if is_acknowledge_path(raw_path(scope)):
            await acknowledgements(scope, receive, send)
            return
        path = str(scope.get("path", ""))
        is_stream = path == names.PATH_EVENTS or path.startswith(_SUBSCRIBE)
        await (streams if is_stream else rest)(scope, receive, send)

    return app
