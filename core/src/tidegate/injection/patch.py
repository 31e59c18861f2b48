"""JSON Patch operations (RFC 6902) that create the parents they need."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

Operation = dict[str, Any]


class PatchBuilder:
    """Collects operations for a document and applies each to a copy, so that the next one fits."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = copy.deepcopy(document)
        self._operations: list[Operation] = []

    @property
    def operations(self) -> tuple[Operation, ...]:
        """What was collected, in order."""
        return tuple(self._operations)

    def put(self, path: Sequence[str], value: object) -> None:
        """Set a member; nothing is collected where the document has it already."""
        parent = self._parent(path[:-1])
        if path[-1] in parent and parent[path[-1]] == value:
            return
        parent[path[-1]] = value
        self._add(path, value)

    def append(self, path: Sequence[str], value: object) -> None:
        """Add to the end of the list at `path`."""
        parent = self._parent(path[:-1])
        if not parent.get(path[-1]):
            parent[path[-1]] = []
            self._add(path, [])
        parent[path[-1]].append(value)
        self._add([*path, "-"], value)

    def move_to_end(self, path: Sequence[str], index: int) -> None:
        """Make the element at `index` of the list at `path` its last one."""
        elements = self._parent(path[:-1])[path[-1]]
        value = elements.pop(index)
        self._operations.append({"op": "remove", "path": _pointer([*path, str(index)])})
        elements.append(value)
        self._add([*path, "-"], value)

    def _parent(self, path: Sequence[str]) -> Any:
        """The object or list at `path`; objects that are not there are made, elements are not."""
        node: Any = self._document
        for depth, part in enumerate(path, start=1):
            if isinstance(node, list):
                node = node[int(part)]
                continue
            if not node.get(part):
                node[part] = {}
                self._add(path[:depth], {})
            node = node[part]
        return node

    def _add(self, path: Sequence[str], value: object) -> None:
        operation = {"op": "add", "path": _pointer(path), "value": copy.deepcopy(value)}
        self._operations.append(operation)


def _pointer(path: Sequence[str]) -> str:
    """A JSON Pointer (RFC 6901)."""
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)
