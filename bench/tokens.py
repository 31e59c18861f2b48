"""What a token costs: new streams per CPU-second without one, with a new one, with a known one.

``python -m bench.tokens`` prints these figures alone. Each client has its own id and token. All is
taken in one run with the same requests but for the token, so that the ratios hold on any machine.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from joserfc.jwk import ECKey, Key, OctKey, RSAKey
from joserfc.jwt import encode

from bench.measure import CONNECT_ROUNDS, HEADERS, all_gone
from bench.procfs import cpu_s
from bench.readers import Readers
from bench.server import AUDIENCE
from bench.tested import Server, pin

GOAL_NEW_RS256 = 7_000 / 15_000
"""Of the figure without authentication: 7,000 new streams where 15,000 open without."""

GOAL_KNOWN = 0.9
ROUNDS = 3

_ALGORITHMS = ("HS256", "RS256", "ES256")


def measure_tokens(streams: int) -> dict[str, Any]:
    """New streams per CPU-second, and the ratios that have goals."""
    with tempfile.TemporaryDirectory() as directory:
        keys = _keys(Path(directory))
        without = _rates(["bench.server"], [[_plain(n) for n in range(streams)]] * CONNECT_ROUNDS)
        figures: dict[str, Any] = {"subscribe_streams_per_cpu_s": median(without)}
        for alg in _ALGORITHMS:
            rounds = [_requests(keys[alg], alg, streams, number) for number in range(ROUNDS)]
            # Each round's tokens twice: new at first, then known.
            twice = [requests for requests in rounds for _ in range(2)]
            rates = _rates(["bench.server", directory], twice)
            name = alg.lower()
            figures[f"{name}_new_token_streams_per_cpu_s"] = median(rates[::2])
            figures[f"{name}_known_token_streams_per_cpu_s"] = median(rates[1::2])
    off = figures["subscribe_streams_per_cpu_s"]
    figures["rs256_new_token_over_off"] = figures["rs256_new_token_streams_per_cpu_s"] / off
    figures["rs256_known_token_over_off"] = figures["rs256_known_token_streams_per_cpu_s"] / off
    return figures


def _keys(directory: Path) -> dict[str, Key]:
    keys: dict[str, Key] = {
        "HS256": OctKey.generate_key(256, {"kid": "h"}),
        "RS256": RSAKey.generate_key(2048, {"kid": "r"}),
        "ES256": ECKey.generate_key("P-256", {"kid": "e"}),
    }
    for alg, key in keys.items():
        (directory / alg).write_text(json.dumps(key.as_dict(private=alg == "HS256")))
    return keys


def _plain(number: int, token: str = "") -> bytes:
    head = f"GET /sse/subscribe/{number}?topic=news HTTP/1.1\r\n{token}{HEADERS}"
    return head.encode()


def _requests(key: Key, alg: str, streams: int, batch: int) -> list[bytes]:
    now = int(time.time())
    claims = {"aud": AUDIENCE, "iat": now, "exp": now + 3600, "batch": batch}
    claims["tidegate"] = {"subscribe": ["news", "rooms/*"]}
    header = {"alg": alg, "typ": "JWT", "kid": key.kid or ""}
    made = (encode(header, {**claims, "sub": str(n)}, key, [alg]) for n in range(streams))
    return [_plain(n, f"Authorization: Bearer {token}\r\n") for n, token in enumerate(made)]


def _rates(command: list[str], rounds: list[list[bytes]]) -> list[float]:
    server = Server([sys.executable, "-m", *command])
    try:
        readers = Readers(server.answer()["port"])
        pid, rates = server.process.pid, []
        readers.open_each(rounds[0][: len(rounds[0]) // 10])
        for requests in rounds:
            all_gone(server, readers)
            before = cpu_s(pid)
            readers.open_each(requests)
            rates.append(len(requests) / (cpu_s(pid) - before))
        readers.close()
    finally:
        server.close()
    return rates


if __name__ == "__main__":
    pin(os.getpid(), 1)
    for figure, value in measure_tokens(2000).items():
        print(f"{figure:36} {value:>10,.2f}")
