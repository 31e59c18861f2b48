"""The reference in the same run: a bare loop, one write per delivery.

In C where a compiler is present (`reference.c`), else the same in Python; which one it was is
said with the figure.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"


def reference_command(build: Path) -> tuple[str, list[str]]:
    """The language and the command of the reference, compiled into `build` if need be."""
    compiler = shutil.which("cc")
    if compiler is not None:
        program = build / "reference"
        source = Path(__file__).with_suffix(".c")
        made = subprocess.run(
            [compiler, "-O2", "-o", str(program), str(source)], capture_output=True, check=False
        )
        if made.returncode == 0:
            return "C", [str(program)]
    return "Python", [sys.executable, "-m", "bench.reference"]


def _main(streams: int, seconds: float, rate_per_s: float, event_bytes: int) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        print(listener.getsockname()[1], flush=True)
        socks = [listener.accept()[0] for _ in range(streams)]
        for sock in socks:
            sock.recv(4096)
            sock.sendall(_HEAD)
        sys.stdin.read(1)
        event = b"x" * event_bytes
        deliveries = 0
        start = time.monotonic()
        for number in range(int(seconds * rate_per_s)):
            time.sleep(max(0.0, start + number / rate_per_s - time.monotonic()))
            for sock in socks:
                sock.sendall(event)
            deliveries += len(socks)
        print(deliveries, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    _main(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
