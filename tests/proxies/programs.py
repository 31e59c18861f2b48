"""nginx and HAProxy as real programs, run on the very files of ``docs/proxies``."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import subprocess
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from kit.ports import accepts, free_port
from kit.system_programs import require

DOCS = Path(__file__).parents[2] / "docs" / "proxies"
START_LIMIT_S = 10.0
_PLACE = re.compile(r"\$\{([A-Z0-9_]+)\}")

NGINX_AROUND = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 1024; }}
http {{
  log_format statuses '$status';
  access_log {folder}/statuses.log statuses;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  {settings}
  include {folder}/tidegate.conf;
}}
"""

NGINX_BARE = """
server {
  listen ${LISTEN};
  location / {
    proxy_pass http://${STREAMS_1};
    proxy_http_version 1.0;
  }
}
"""
"""What one writes who knows nothing of streams, on an nginx before 1.29.7."""


@contextlib.asynccontextmanager
async def nginx(
    folder: Path, values: Mapping[str, str], settings: str = "", template: str = ""
) -> AsyncIterator[int]:
    """Run nginx on `template` (empty: the documented file); `settings` stand around it."""
    program = require("nginx")
    port = free_port()
    text = template or (DOCS / "nginx.conf").read_text()
    _write_nginx(folder, text, {**values, "LISTEN": f"127.0.0.1:{port}"}, settings)
    main = str(folder / "nginx.conf")
    async with _running([program, "-c", main, "-p", str(folder)], {}, port):
        yield port


def _write_nginx(folder: Path, text: str, values: Mapping[str, str], settings: str) -> None:
    folder.mkdir()
    (folder / "tidegate.conf").write_text(_PLACE.sub(lambda place: values[place[1]], text))
    (folder / "nginx.conf").write_text(NGINX_AROUND.format(folder=folder, settings=settings))


@contextlib.asynccontextmanager
async def haproxy(values: Mapping[str, str]) -> AsyncIterator[int]:
    """Run HAProxy on the documented file, whose places are its own variables."""
    program = require("haproxy")
    port = free_port()
    filled = {**values, "LISTEN": f"127.0.0.1:{port}"}
    async with _running([program, "-db", "-f", str(DOCS / "haproxy.cfg")], filled, port):
        yield port


@contextlib.asynccontextmanager
async def _running(argv: list[str], environ: Mapping[str, str], port: int) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        *argv,
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    words = asyncio.create_task(process.communicate())
    try:
        async with asyncio.timeout(START_LIMIT_S):
            while not await accepts(port):
                assert process.returncode is None, (await words)[1].decode()
                await asyncio.sleep(0.01)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await words
