"""What a token costs: new streams per CPU-second without one, with a new one, with a known one.

Exit status 1 where a goal is missed. Each client has its own id and token. All is
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

from bench.measure import HEADERS, all_gone
from bench.procfs import cpu_s
from bench.readers import Readers
from bench.server import AUDIENCE
from bench.tested import Server, pin

GOALS = {"rs256_new_token_over_off": 7_000 / 15_000, "rs256_known_token_over_off": 0.9}
"""Parts of the figure without authentication: 7,000 new streams where 15,000 open without."""

ROUNDS = 5

_ALGORITHMS = ("HS256", "RS256", "ES256")


def measure_tokens(streams: int) -> dict[str, Any]:
    """New streams per CPU-second, and the ratios that have goals.

    A machine changes its pace for seconds on end: a ratio is that of neighbours, and of several
    the median.
    """
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as directory:
        keys = _keys(Path(directory))
        plain = [_plain(number) for number in range(streams)]
        open_, asking = _Opened(["bench.server"]), _Opened(["bench.server", directory])
        try:
            open_.rate(plain[: streams // 10])
            asking.rate(_requests(keys["HS256"], "HS256", streams // 10, ROUNDS))
            for alg in _ALGORITHMS:
                for number in range(ROUNDS):
                    requests = _requests(keys[alg], alg, streams, number)
                    rates.setdefault("off", []).append(open_.rate(plain))
                    rates.setdefault(f"{alg}_new", []).append(asking.rate(requests))
                    rates.setdefault(f"{alg}_known", []).append(asking.rate(requests))
        finally:
            open_.close()
            asking.close()
    figures: dict[str, Any] = {"subscribe_streams_per_cpu_s": median(rates["off"])}
    for index, alg in enumerate(_ALGORITHMS):
        off = rates["off"][index * ROUNDS : (index + 1) * ROUNDS]
        for kind in ("new", "known"):
            found = rates[f"{alg}_{kind}"]
            name = f"{alg.lower()}_{kind}_token"
            figures[f"{name}_streams_per_cpu_s"] = median(found)
            ratios = [one / beside for one, beside in zip(found, off, strict=True)]
            figures[f"{name}_over_off"] = median(ratios)
    return figures


class _Opened:
    """A server under test, and the readers that open streams to it."""

    def __init__(self, command: list[str]) -> None:
        self._server = Server([sys.executable, "-m", *command])
        self._readers = Readers(self._server.answer()["port"])

    def rate(self, requests: list[bytes]) -> float:
        """New streams per CPU-second; the streams are closed afterwards."""
        pid = self._server.process.pid
        before = cpu_s(pid)
        self._readers.open_each(requests)
        rate = len(requests) / max(cpu_s(pid) - before, 0.01)
        all_gone(self._server, self._readers)
        return rate

    def close(self) -> None:
        """End the server."""
        self._readers.close()
        self._server.close()


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


def main() -> int:
    """Measure, print and judge; 1 where a goal is missed."""
    pin(os.getpid(), 1)
    figures = measure_tokens(2000)
    for name, value in figures.items():
        goal = GOALS.get(name)
        verdict = "" if goal is None else f">= {goal:.2f}  {'met' if value >= goal else 'MISSED'}"
        print(f"{name:36} {value:>10,.2f}  {verdict}".rstrip())
    return 0 if all(figures[name] >= goal for name, goal in GOALS.items()) else 1


if __name__ == "__main__":
    sys.exit(main())
