"""An nginx in front of a Service, with upstream keep-alive, as ingress controllers run it."""

from __future__ import annotations

import shutil

from kit.ports import accepts, free_port
from kit.waiting import until

from e2e.cluster.native.prerequisites import search_path
from e2e.cluster.provider import ClusterError
from tidegate.contract.errors import MissingToolError
from tidegate_lab.door import Endpoint
from tidegate_lab.processes import ProcessGroup

LOOPBACK = "127.0.0.1"
START_TIMEOUT_S = 10.0

CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-errors.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream streams {{
    server {host}:{port} max_fails=0;
    keepalive 64;
  }}
  server {{
    listen {own_host}:{own_port} backlog=1024;
    location / {{
      proxy_pass http://streams;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_next_upstream off;
      proxy_connect_timeout 3s;
      proxy_read_timeout 1h;
    }}
  }}
}}
"""
"""Buffering is left on: the sidecar's own X-Accel-Buffering is what must turn it off."""


def require(environment: dict[str, str]) -> str:
    """The program's path; raises `MissingToolError` with the line that installs it."""
    found = shutil.which("nginx", path=search_path(environment))
    if found is None:
        raise MissingToolError(
            "this test needs nginx: apt-get install --no-install-recommends nginx-light"
        )
    return found


async def in_front(process_group: ProcessGroup, endpoint: Endpoint, nginx: str) -> Endpoint:
    """Start one that forwards to `endpoint`; it ends with the process group."""
    port = free_port()
    folder = process_group.directory / "nginx"
    folder.mkdir()
    configuration = folder / "nginx.conf"
    configuration.write_text(
        CONFIGURATION.format(
            folder=folder, host=endpoint.host, port=endpoint.port, own_host=LOOPBACK, own_port=port
        )
    )
    await process_group.start("nginx", [nginx, "-c", str(configuration), "-p", str(folder)])
    try:
        await until(lambda: accepts(port), START_TIMEOUT_S)
    except TimeoutError:
        raise ClusterError("nginx did not start") from None
    return Endpoint("nginx", LOOPBACK, port)
