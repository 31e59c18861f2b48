"""Watching a cluster's objects over its API, with the moment at which each change was seen."""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import yaml

TIMEOUT_S = 10.0
REVISIONS = ("pod-template-hash", "controller-revision-hash")


class KubeApi:
    """Read access as whoever the kubeconfig names; to be used inside the cluster's network."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        context = ssl.create_default_context(cadata=_text(cluster, "certificate-authority"))
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as pair:
            pair.write(_text(user, "client-certificate") + _text(user, "client-key"))
            pair.flush()
            context.load_cert_chain(pair.name)
        self._client = httpx2.AsyncClient(
            base_url=cluster["server"], verify=context, trust_env=False, timeout=TIMEOUT_S
        )

    async def close(self) -> None:
        """Drop the connections."""
        await self._client.aclose()

    async def get(self, path: str, parameters: Mapping[str, str] | None = None) -> Any:
        """One object or list; raises `httpx2.HTTPStatusError`."""
        answer = await self._client.get(path, params=dict(parameters or {}))
        answer.raise_for_status()
        return answer.json()

    async def watch(
        self, path: str, parameters: Mapping[str, str] | None = None
    ) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """``("ADDED" | "MODIFIED" | "DELETED", object)`` from the present state on, for ever.

        A watch that the server ends is taken up where it stood.
        """
        chosen = dict(parameters or {})
        listed = await self.get(path, chosen)
        for item in listed["items"]:
            yield "ADDED", item
        version = listed["metadata"]["resourceVersion"]
        while True:
            query = {**chosen, "watch": "1", "resourceVersion": version}
            unbounded = httpx2.Timeout(TIMEOUT_S, read=None)
            async with self._client.stream("GET", path, params=query, timeout=unbounded) as lines:
                lines.raise_for_status()
                async for line in lines.aiter_lines():
                    change = json.loads(line)
                    if change["type"] == "ERROR":
                        raise RuntimeError(f"watch of {path}: {change['object']}")
                    version = change["object"]["metadata"]["resourceVersion"]
                    yield change["type"], change["object"]


class PodWatch:
    """Every pod of a namespace that was ever seen, and when it came, went and was deleted."""

    def __init__(self, api: KubeApi, namespace: str, selector: str) -> None:
        self.seen: dict[str, SeenPod] = {}
        self._api = api
        self._path = f"/api/v1/namespaces/{namespace}/pods"
        self._selector = {"labelSelector": selector}

    async def run(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Follow until cancelled."""
        async for kind, pod in self._api.watch(self._path, self._selector):
            now = clock()
            name = pod["metadata"]["name"]
            seen = self.seen.get(name)
            if seen is None or (kind == "ADDED" and seen.gone_s is not None):
                # A StatefulSet's next pod has its predecessor's name.
                seen = self.seen[name] = SeenPod(name, pod, now)
            seen.take(kind, pod, now)

    def alive(self) -> list[SeenPod]:
        """Those that exist."""
        return [pod for pod in self.seen.values() if pod.gone_s is None]


class SeenPod:
    """What became of one pod; times in seconds on the watcher's clock.

    `ready_s` is when it last became ready, `status` its last status.
    """

    def __init__(self, name: str, pod: Mapping[str, Any], now: float) -> None:
        labels = pod["metadata"]["labels"]
        self.name = name
        self.revision: str = next((labels[key] for key in REVISIONS if key in labels), "")
        self.created_s = now
        self.deleted_s: float | None = None
        self.gone_s: float | None = None
        self.ready = False
        self.ready_s = now
        self.status: Mapping[str, Any] = {}
        self.restarts = 0
        self.labels: Mapping[str, str] = {}
        self.annotations: Mapping[str, str] = {}

    def take(self, kind: str, pod: Mapping[str, Any], now: float) -> None:
        """One change of the object."""
        if pod["metadata"].get("deletionTimestamp") and self.deleted_s is None:
            self.deleted_s = now
        if kind == "DELETED":
            self.gone_s = now
        status = pod["status"]
        conditions = status.get("conditions", [])
        ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
        if ready and not self.ready:
            self.ready_s = now
        self.ready = ready
        self.status = status
        containers = status.get("containerStatuses", []) + status.get("initContainerStatuses", [])
        self.restarts = sum(container["restartCount"] for container in containers)
        self.labels = pod["metadata"].get("labels", {})
        self.annotations = pod["metadata"].get("annotations", {})


class EndpointWatch:
    """How many ready endpoints a Service has, over time.

    A pod without the port that the Service names is listed, too, in a slice without ports, and no
    router sends anything there: it is no endpoint.
    """

    def __init__(self, api: KubeApi, namespace: str, service: str) -> None:
        self.counts: list[tuple[float, int]] = []
        self._api = api
        self._path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
        self._selector = {"labelSelector": f"kubernetes.io/service-name={service}"}

    async def run(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Follow until cancelled."""
        slices: dict[str, int] = {}
        async for kind, item in self._api.watch(self._path, self._selector):
            name = item["metadata"]["name"]
            endpoints = item.get("endpoints") or []
            ready = sum(bool(e.get("conditions", {}).get("ready")) for e in endpoints)
            slices[name] = ready if item.get("ports") and kind != "DELETED" else 0
            self.counts.append((clock(), sum(slices.values())))

    @property
    def now(self) -> int:
        """Ready endpoints at present."""
        return self.counts[-1][1] if self.counts else 0

    def seconds_without(self, start_s: float, end_s: float) -> float:
        """How long within the span there was none."""
        total = 0.0
        steps = [*self.counts, (end_s, 0)]
        for (at_s, count), (next_s, _) in pairwise(steps):
            if count == 0:
                total += max(0.0, min(next_s, end_s) - max(at_s, start_s))
        return total


def _text(section: Mapping[str, str], key: str) -> str:
    """The PEM behind a kubeconfig's key, given as a file or inline."""
    if inline := section.get(f"{key}-data"):
        return base64.b64decode(inline).decode()
    return Path(section[key]).read_text()
