"""The report port in a process of its own, on the loop of the operator: for its memory."""

from __future__ import annotations

import asyncio
import ssl
import sys
import time
from pathlib import Path

from operator_shell.fakes import FakeCluster, pod

from tidegate_operator.meters import Meters
from tidegate_operator.report_api import report_app, report_server
from tidegate_operator.reports import ReportBook
from tidegate_process.loops import run


async def serve(folder: Path, pods: int) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    cluster = FakeCluster([pod(f"p{number}") for number in range(pods)])
    app = report_app(cluster, ReportBook(time.monotonic, hold_s=60.0), Meters())
    server = report_server(app, "127.0.0.1", tls=context)
    print(await server.start(), flush=True)  # noqa: T201 - for the test that has started it
    await asyncio.Event().wait()


if __name__ == "__main__":
    run(serve(Path(sys.argv[1]), int(sys.argv[2])))
