"""``python -m bench.proxy``: the proxy beside nginx, in one run.

1,000 streams of 100-byte events, each with its own connection to the application, the proxy on one
core, application and clients on the other. Rounds alternate and the median counts, because on a
shared machine the same program differs by 40 % from one minute to the next. CPU is that of the
proxy's process tree, from /proc. Exit status 1 if a goal is missed; without nginx only the figures
that need none are judged.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench.procfs import cpu_s, rss_kb
from bench.proxied import CHUNK, LARGE_BYTES
from bench.readers import Readers
from bench.tested import pin
from tidegate_lab.descriptors import raise_descriptor_limit

ROUNDS: Final = 3
SECONDS: Final = 4.0
RATE_PER_S: Final = 10.0
CPU_TO_NGINX: Final = 1.2
KB_PER_STREAM: Final = 5.0

STREAM: Final = b"GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
QUIET: Final = STREAM.replace(b"/events", b"/quiet")
LARGE: Final = b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n"

_NGINX = """\
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 20000; }}
http {{
  access_log off;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://127.0.0.1:{upstream};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 1h;
    }}
  }}
}}
"""

Command = Callable[[int, int, Path], list[str]]
"""The command of a proxy on a port, in front of another, with a folder for its files."""


def _tidegate(_port: int, upstream: int, _folder: Path) -> list[str]:
    script = "from tidegate_cli.start import main; main()"
    return [sys.executable, "-c", script, "proxy", "--upstream", f"http://127.0.0.1:{upstream}"]


def _nginx(port: int, upstream: int, folder: Path) -> list[str]:
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, port=port, upstream=upstream))
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    assert found is not None
    return [found, "-p", str(folder), "-c", str(config)]


def _proxies() -> dict[str, Command]:
    made: dict[str, Command] = {"tidegate": _tidegate}
    if shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin"):
        made["nginx"] = _nginx
    return made


@contextlib.contextmanager
def _application() -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.proxied", str(RATE_PER_S)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    pin(process.pid, 1)
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def _running(command: Command, upstream: int, folder: Path) -> Iterator[tuple[int, int]]:
    """A proxy; gives its process id and its port."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    own = {"TIDEGATE_PUBLIC_PORT": str(port), "TIDEGATE_ADMIN_PORT": "0"}
    process = subprocess.Popen(
        command(port, upstream, folder),
        env=os.environ | own | {"TIDEGATE_LOG_LEVEL": "error"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    pin(process.pid, 0)
    try:
        for _ in range(1000):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.02)
        yield process.pid, port
    finally:
        process.terminate()
        process.wait()


def _round(pid: int, port: int, streams: int) -> dict[str, float]:
    readers = Readers(port)
    readers.open(streams // 10, STREAM)
    readers.close()
    empty_kb, before_s = rss_kb(pid), cpu_s(pid)
    readers.open(streams, QUIET)
    opens_per_cpu_s = streams / (cpu_s(pid) - before_s)
    readers.close()
    readers.open(streams, STREAM)
    readers.run_for(1.0)
    received, before_s = readers.received, cpu_s(pid)
    readers.run_for(SECONDS)
    spent_s = cpu_s(pid) - before_s
    events = (readers.received - received) / len(CHUNK)
    figures = {
        "us_per_event": spent_s / events * 1e6,
        "events_per_s": events / SECONDS,
        "kb_per_stream": (rss_kb(pid) - empty_kb) / streams,
        "opens_per_cpu_s": opens_per_cpu_s,
    }
    readers.close()
    before_s = cpu_s(pid)
    with socket.create_connection(("127.0.0.1", port)) as one:
        one.sendall(LARGE)
        left = LARGE_BYTES
        while left > 0:
            left -= len(one.recv(1 << 20))
    figures["large_mb_per_cpu_s"] = LARGE_BYTES / 1e6 / (cpu_s(pid) - before_s)
    return figures


def measure(streams: int, rounds: int = ROUNDS) -> dict[str, dict[str, float]]:
    """The medians of all figures, by proxy."""
    found: dict[str, list[dict[str, float]]] = {}
    for _ in range(rounds):
        for name, command in _proxies().items():
            with (
                tempfile.TemporaryDirectory() as folder,
                _application() as upstream,
                _running(command, upstream, Path(folder)) as (pid, port),
            ):
                found.setdefault(name, []).append(_round(pid, port, streams))
    return {
        name: {key: median(one[key] for one in figures) for key in figures[0]}
        for name, figures in found.items()
    }


def missed(figures: dict[str, dict[str, float]]) -> list[str]:
    """The goals that were missed, as sentences."""
    own, nginx = figures["tidegate"], figures.get("nginx")
    found = []
    if own["kb_per_stream"] > KB_PER_STREAM:
        found.append(f"{own['kb_per_stream']:.1f} kB per stream, at most {KB_PER_STREAM:g}")
    if nginx is not None:
        ratio = own["us_per_event"] / nginx["us_per_event"]
        if ratio > CPU_TO_NGINX:
            found.append(f"{ratio:.2f} x nginx's CPU per event, at most {CPU_TO_NGINX:g}")
    return found


def _table(figures: dict[str, dict[str, float]]) -> str:
    names = list(figures)
    head = f"{'':<20}" + "".join(f"{name:>12}" for name in names)
    rows = (
        f"{key:<20}" + "".join(f"{figures[name][key]:>12,.1f}" for name in names)
        for key in figures[names[0]]
    )
    return "\n".join([head, *rows])


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(prog="python -m bench.proxy", description=__doc__)
    parser.add_argument("--streams", type=int, default=1000, metavar="N")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    raise_descriptor_limit(options.streams, "--streams")
    pin(os.getpid(), 1)
    figures: dict[str, Any] = measure(options.streams, options.rounds)
    print(json.dumps(figures) if options.json else _table(figures))
    problems = missed(figures)
    for problem in problems:
        print(f"missed: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
