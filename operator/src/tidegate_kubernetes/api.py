"""The Kubernetes API as the operator uses it: raw JSON over one kubernetes.aio client.

Raw, because the operator reads a handful of fields: building the client's models for every pod
costs more than the planner. Every call has a timeout and every failure is an `ApiError`, so that
no caller meets aiohttp.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
import kopf
from kubernetes.aio import client, config

from tidegate.contract.errors import ClusterError, SettingsError

REQUEST_TIMEOUT_S: Final = 5.0
CONNECTIONS: Final = 64
"""A batch of label changes must go out at once: stragglers wait for kube-proxy's next sync."""

PAGE_ITEMS: Final = 500
"""Objects in one answer of a list, as kubectl and kopf ask for them."""

MERGE_PATCH: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
METADATA_LIST: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TOKEN_READ_EVERY: Final = timedelta(minutes=5)
"""Projected tokens are replaced after 80 % of an hour; reading them this often is early enough."""


class ApiError(ClusterError):
    """Raised when the API server refuses or cannot be reached (`status` 0)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}" if status else message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach the API server: inside a pod by its ServiceAccount, else by a kubeconfig."""

    kubeconfig: str | None

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Access:
        """In the cluster where the environment names it, else ``KUBECONFIG``."""
        if environ.get("KUBERNETES_SERVICE_HOST") and not environ.get("KUBECONFIG"):
            return cls(None)
        paths = environ.get("KUBECONFIG") or os.path.expanduser("~/.kube/config")
        path = paths.split(os.pathsep)[0]
        if not Path(path).exists():
            raise SettingsError("KUBECONFIG", f"names no file ({path}), and this is not a pod")
        return cls(path)

    async def client(self) -> client.ApiClient:
        """A client of its own connections. Raises `SettingsError` for a bad kubeconfig."""
        found = client.Configuration()
        try:
            if self.kubeconfig is None:
                config.load_incluster_config(found)  # type: ignore[no-untyped-call]
            else:
                await config.load_kube_config(  # type: ignore[no-untyped-call]
                    self.kubeconfig, client_configuration=found
                )
        except config.ConfigException as error:
            raise SettingsError("KUBECONFIG", str(error)) from None
        found.connection_pool_maxsize = CONNECTIONS
        # The API server is never behind the environment's proxy.
        found.client_session_kwargs = {"trust_env": False}
        return client.ApiClient(found)

    def kopf_login(self, **kwargs: Any) -> kopf.ConnectionInfo | None:
        """The same access for kopf, by address: a cluster may have no DNS for us."""
        if self.kubeconfig is not None:
            return kopf.login_with_kubeconfig(**kwargs)
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
        shown = f"[{host}]" if ":" in host else host
        return kopf.ConnectionInfo(
            server=f"https://{shown}:{port}",
            ca_path=SERVICE_ACCOUNT / "ca.crt",
            token=(SERVICE_ACCOUNT / "token").read_text().strip(),
            expiration=datetime.now(UTC) + TOKEN_READ_EVERY,
        )


class KubeApi:
    """Calls on the API server. The caller closes `client`."""

    def __init__(self, client: client.ApiClient, timeout_s: float = REQUEST_TIMEOUT_S) -> None:
        self._client = client
        self._timeout_s = timeout_s

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Read an object or a list; raises `ApiError`."""
        return await self._call("GET", path, query=query)

    async def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object; raises `ApiError` (409: it exists)."""
        return await self._call("POST", path, body=body)

    async def put(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Replace an object; raises `ApiError` (409: it has changed since it was read)."""
        return await self._call("PUT", path, body=body)

    async def merge(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Merge-patch an object (RFC 7386); raises `ApiError`."""
        return await self._call("PATCH", path, body=body, content_type=MERGE_PATCH)

    async def patch(self, path: str, operations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """JSON-patch an object (RFC 6902); raises `ApiError`."""
        return await self._call("PATCH", path, body=list(operations), content_type=JSON_PATCH)

    async def versions(self, path: str, selector: str) -> tuple[dict[str, str], str]:
        """Uid -> resourceVersion of every listed object, and the list's own; metadata only."""
        query = {"labelSelector": selector} if selector else {}
        found: dict[str, str] = {}
        version = ""
        async for page in self._pages(path, query, METADATA_LIST):
            metas = [item["metadata"] for item in page.get("items") or ()]
            found |= {m["uid"]: str(m.get("resourceVersion") or "") for m in metas}
            version = str((page.get("metadata") or {}).get("resourceVersion") or "")
        return found, version

    async def items(self, path: str, query: Mapping[str, str]) -> AsyncIterator[dict[str, Any]]:
        """The objects of a list; raises `ApiError`."""
        async for page in self._pages(path, query, "application/json"):
            for item in page.get("items") or ():
                yield item

    async def _pages(
        self, path: str, query: Mapping[str, str], accept: str
    ) -> AsyncIterator[dict[str, Any]]:
        """A list in parts: 20,000 ReplicaSets in one answer took 356 MiB and 5 s."""
        asked = {**query, "limit": str(PAGE_ITEMS)}
        while True:
            page = await self._call("GET", path, query=asked, accept=accept)
            yield page
            more = (page.get("metadata") or {}).get("continue")
            if not more:
                return
            asked["continue"] = more

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | list[Mapping[str, Any]] | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> dict[str, Any]:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._exchange(method, path, query, body, content_type, accept)
        except TimeoutError:
            raise ApiError(0, f"{method} {path}: no answer in {self._timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # ValueError: not JSON. The token file may be missing for a moment: OSError.
            raise ApiError(0, f"{method} {path}: {error}") from None

    async def _exchange(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Mapping[str, Any] | list[Mapping[str, Any]] | None,
        content_type: str,
        accept: str,
    ) -> dict[str, Any]:
        headers: dict[str, str] = {"Accept": accept, "Content-Type": content_type}
        await self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = self._client.configuration.host + path + (f"?{urlencode(query)}" if query else "")
        response = await self._client.call_api(
            method, url, header_params=headers, body=body, _request_timeout=self._timeout_s
        )
        content: bytes = await response.read()  # type: ignore[no-untyped-call]
        value = json.loads(content) if content else {}
        if not 200 <= response.status < 300:
            message = value.get("message") if isinstance(value, dict) else None
            raise ApiError(response.status, f"{method} {path}: {message or response.reason}")
        if not isinstance(value, dict):
            raise ApiError(response.status, f"{method} {path}: the answer is no object")
        return value
