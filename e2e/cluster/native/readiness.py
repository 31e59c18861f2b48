"""Asking a starting cluster's API server how far it is. Call it from inside the network."""

from __future__ import annotations

import json
import ssl
import urllib.request
from typing import Any

from e2e.cluster.commands import wait_until
from e2e.cluster.native.layout import API_PORT, OUTER_IP, Layout
from e2e.cluster.native.pki import ADMIN

REQUEST_TIMEOUT_S = 5.0
START_TIMEOUT_S = 120.0


class Api:
    """Read access as the administrator, with nothing but the standard library."""

    def __init__(self, layout: Layout) -> None:
        self._context = ssl.create_default_context(cafile=str(layout.pki / "ca.crt"))
        self._context.load_cert_chain(layout.pki / f"{ADMIN}.crt", layout.pki / f"{ADMIN}.key")
        handler = urllib.request.HTTPSHandler(context=self._context)
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), handler)

    def wait_until_ready(self) -> None:
        """Until /readyz says ok; raises `ClusterError` when it takes too long."""
        wait_until(
            "the API server", lambda: self._get("/readyz") == b"ok", timeout_s=START_TIMEOUT_S
        )

    def wait_for_nodes(self, nodes: int) -> None:
        """Until that many nodes are Ready."""
        wait_until("the nodes", lambda: self._ready_nodes() >= nodes, timeout_s=START_TIMEOUT_S)

    def wait_for_service_accounts(self) -> None:
        """Until default/default exists; pods created earlier are refused."""
        path = "/api/v1/namespaces/default/serviceaccounts/default"
        wait_until("the service accounts", lambda: self._get(path), timeout_s=START_TIMEOUT_S)

    def _ready_nodes(self) -> int:
        nodes = json.loads(self._get("/api/v1/nodes"))["items"]
        return sum(_is_ready(node) for node in nodes)

    def _get(self, path: str) -> bytes:
        url = f"https://{OUTER_IP}:{API_PORT}{path}"
        with self._opener.open(url, timeout=REQUEST_TIMEOUT_S) as response:
            body: bytes = response.read()
        return body


def _is_ready(node: dict[str, Any]) -> bool:
    conditions = node["status"].get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
