"""Lists are asked for in parts, so that no answer grows with the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidegate_kubernetes.api import PAGE_ITEMS, KubeApi
from tidegate_kubernetes.kinds import PODS, REPLICA_SETS

OBJECTS = PAGE_ITEMS * 2 + 3


class Api(KubeApi):
    """Serves `OBJECTS` as the API server does: by `limit` and `continue`."""

    def __init__(self) -> None:
        self.asked: list[Mapping[str, str]] = []

    async def _call(self, method: str, path: str, *, query: Any = None, **_: Any) -> dict[str, Any]:
        self.asked.append(dict(query))
        start = int(query.get("continue", 0))
        end = min(start + int(query["limit"]), OBJECTS)
        items = [{"metadata": {"uid": str(n), "resourceVersion": "5"}} for n in range(start, end)]
        more = {"continue": str(end)} if end < OBJECTS else {}
        return {"items": items, "metadata": {"resourceVersion": "9", **more}}


async def test_versions_are_those_of_all_parts() -> None:
    api = Api()
    found, version = await api.versions(REPLICA_SETS.path(), "")
    assert found == {str(n): "5" for n in range(OBJECTS)}
    assert version == "9"
    assert [asked.get("continue") for asked in api.asked] == [None, "500", "1000"]


async def test_every_part_is_of_the_same_selection() -> None:
    api = Api()
    listed = [item async for item in api.items(PODS.path(), {"labelSelector": PODS.selector})]
    assert len(listed) == OBJECTS
    assert {asked["labelSelector"] for asked in api.asked} == {PODS.selector}
