"""A few objects behind the calls of `KubeApi`, for tests that need no API server's judgement."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from tidegate_kubernetes.api import ApiError, KubeApi

Raw = dict[str, Any]


class FakeApi(KubeApi):
    """Objects by path; every write gets a new resourceVersion and a PUT must bring the last one.

    `refuse` may raise for a call (method, path) before it is made; a POST takes `delay_s`.
    """

    def __init__(self) -> None:
        self.objects: dict[str, Raw] = {}
        self.calls: list[tuple[str, str]] = []
        self.listings: dict[str, tuple[dict[str, str], str]] = {}
        self.answers: dict[str, Callable[[Raw], Raw]] = {}
        self.refuse: Callable[[str, str], None] = lambda method, path: None
        self.delay_s = 0.0
        self._version = 0

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Raw:
        self._called("GET", path)
        return dict(self._found(path))

    async def post(self, path: str, body: Mapping[str, Any]) -> Raw:
        self._called("POST", path)
        await asyncio.sleep(self.delay_s)
        if path in self.answers:
            return self.answers[path](dict(body))
        meta = body["metadata"]
        name = meta.get("name") or meta["generateName"] + str(self._version)
        if f"{path}/{name}" in self.objects:
            raise ApiError(409, "it exists")
        return self._store(f"{path}/{name}", {**body, "metadata": {**meta, "name": name}})

    async def put(self, path: str, body: Mapping[str, Any]) -> Raw:
        self._called("PUT", path)
        known = self._found(path)["metadata"]["resourceVersion"]
        if body["metadata"].get("resourceVersion") != known:
            raise ApiError(409, "it has changed")
        return self._store(path, dict(body))

    async def merge(self, path: str, body: Mapping[str, Any]) -> Raw:
        self._called("PATCH", path)
        return self._store(path, merged(self._found(path.removesuffix("/status")), body))

    async def patch(self, path: str, operations: Sequence[Mapping[str, Any]]) -> Raw:
        self._called("JSON-PATCH", path)
        changed = self._found(path)
        for operation in operations:
            *parents, last = operation["path"].strip("/").split("/")
            place: Any = changed
            for part in parents:
                place = place[int(part)] if isinstance(place, list) else place[part]
            if operation["op"] == "add":
                place[last] = operation["value"]
            assert place[last] == operation["value"]
        return self._store(path, changed)

    async def items(self, path: str, query: Mapping[str, str]) -> AsyncIterator[Raw]:
        for item in (await self.get(path, query)).get("items") or ():
            yield item

    async def versions(self, path: str, selector: str) -> tuple[dict[str, str], str]:
        self._called("LIST", path)
        return self.listings.get(path, ({}, "0"))

    def _called(self, method: str, path: str) -> None:
        self.calls.append((method, path))
        self.refuse(method, path)

    def _found(self, path: str) -> Raw:
        if path not in self.objects:
            raise ApiError(404, f"{path} not found")
        return self.objects[path]

    def _store(self, path: str, value: Raw) -> Raw:
        self._version += 1
        value = {**value, "metadata": {**value["metadata"], "resourceVersion": str(self._version)}}
        self.objects[path] = value
        return dict(value)


def merged(target: Any, change: Any) -> Any:
    """RFC 7386."""
    if not isinstance(change, Mapping):
        return change
    result = dict(target) if isinstance(target, Mapping) else {}
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result
