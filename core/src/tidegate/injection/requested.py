"""Reads the settings in a pod's annotations, and finds keys and values that cannot be meant."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tidegate.contract import kube, names
from tidegate.contract.settings import rows
from tidegate.injection.annotations import (
    ANNOTATIONS,
    PASSED_ON,
    PROGRAMS,
    WRITTEN_BY_TIDEGATE,
    full_key,
)

_LABELS: Final = (names.LABEL_ADMIT, names.LABEL_INJECTED)


@dataclass(frozen=True, slots=True)
class RequestedSettings:
    """A pod's values: its own annotation, else the cluster's default, else the declared one."""

    own: Mapping[str, str]
    defaults: Mapping[str, str]

    def text(self, key: str) -> str:
        """The value of `key` (without prefix) that holds; empty where nothing is set."""
        return {ANNOTATIONS[key].key: ANNOTATIONS[key].default, **self.defaults, **self.own}[key]

    def is_own(self, key: str) -> bool:
        """Whether the pod itself has the annotation."""
        return key in self.own

    @property
    def mode(self) -> str:
        """``hub`` or ``proxy``."""
        return self.text("mode")

    def settings(self) -> dict[str, str]:
        """The settings by name that pod or cluster make for the mode's program, as they are.

        The program's own defaults are left to it, which may be of another version.
        """
        given = self.own.keys() | self.defaults.keys()
        taken = {row.name for row in rows(PROGRAMS[self.mode])}
        return {
            row.name: self.text(key)
            for key, row in PASSED_ON.items()
            if key in given and row.name in taken
        }


def read_requested(
    annotations: Mapping[str, str], defaults: Mapping[str, str]
) -> RequestedSettings:
    """The values under our prefix that are known, as they are."""
    own = {
        key.removeprefix(kube.KEY_PREFIX): value.strip()
        for key, value in annotations.items()
        if key.startswith(kube.KEY_PREFIX) and key.removeprefix(kube.KEY_PREFIX) in ANNOTATIONS
    }
    return RequestedSettings(own, defaults)


def bad_values(requested: RequestedSettings) -> list[str]:
    """A sentence for each value that is not allowed, with what is."""
    sentences = []
    for key, value in requested.own.items():
        kind = ANNOTATIONS[key].kind
        if not kind.accepts(value):
            sentences.append(f"{full_key(key)} {kind.refusal(value)}")
    return sentences


def unknown_keys(annotations: Mapping[str, str], labels: Mapping[str, str]) -> list[str]:
    """A sentence for each key under our prefix that is not read, with the nearest that is."""
    known = [full_key(key) for key in ANNOTATIONS]
    strange = [
        key
        for key in annotations
        if key.startswith(kube.KEY_PREFIX) and key not in known and key not in WRITTEN_BY_TIDEGATE
    ]
    strange += [key for key in labels if key.startswith(kube.KEY_PREFIX) and key not in _LABELS]
    return [_unknown(key, [*known, *_LABELS]) for key in strange]


def _unknown(key: str, known: list[str]) -> str:
    if key in known:
        kind = "a label" if key in _LABELS else "an annotation"
        return f"{key} is not read here: it is {kind}"
    nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
    return f"{key} is not a key of Tidegate; did you mean {nearest}?"
