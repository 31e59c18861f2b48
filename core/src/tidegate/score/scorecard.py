"""The scorecard document: the same keys wherever a rollout was measured.

A figure that could not be measured is ``null``, never a made-up zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from tidegate.contract.errors import DocumentError


@dataclass(frozen=True, slots=True)
class Scorecard:
    """What one rollout did to the clients.

    Counted on the wire, before any de-duplication, against a ledger of acknowledged publishes ×
    audience. A move is every reconnect after a client's first. Shares and ratios are plain
    numbers (1.0 is even, none, or exactly the budget); `_s` and `_ms` are units.
    """

    deliveries: int | None = None
    expected_deliveries: int | None = None
    lost: int | None = None
    duplicated: int | None = None
    moves_per_client: float | None = None
    moved_twice_share: float | None = None
    not_on_new_revision: int | None = None
    balance_max_over_mean: float | None = None
    balance_min_over_mean: float | None = None
    transient_max_over_mean: float | None = None
    peak_moves_1s: int | None = None
    peak_over_budget: float | None = None
    rollout_s: float | None = None
    rollout_over_limit: float | None = None
    attempts_per_move: float | None = None
    bounced: int | None = None
    cut_without_goodbye: int | None = None
    failed_connects: int | None = None
    non_200: int | None = None
    clients_dead: int | None = None
    offline_p50_ms: float | None = None
    offline_p99_ms: float | None = None
    added_latency_p99_ms: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The figures by key, in the order of the definition; ratios to four digits."""
        return {
            key: round(value, 4) if isinstance(value, float) else value
            for key, value in asdict(self).items()
        }

    def figure(self, key: str) -> float | None:
        """One figure by its key; raises `KeyError` for a key that is none."""
        if key not in SCORECARD_KEYS:
            raise KeyError(key)
        value: float | None = getattr(self, key)
        return value

    @classmethod
    def from_json(cls, value: object) -> Scorecard:
        """Read the figures; raises `DocumentError` for a missing, unknown or non-numeric one."""
        if not isinstance(value, Mapping):
            raise DocumentError("scorecard", "", "must be a JSON object")
        for key in (*SCORECARD_KEYS, *value):
            if key not in value or key not in SCORECARD_KEYS:
                raise DocumentError("scorecard", str(key), "is missing or unknown")
            figure = value[key]
            if figure is not None and (
                isinstance(figure, bool) or not isinstance(figure, int | float)
            ):
                raise DocumentError("scorecard", key, "must be a number or null")
        return cls(**value)


SCORECARD_KEYS = tuple(field.name for field in fields(Scorecard))


@dataclass(frozen=True, slots=True)
class Run:
    """One measured rollout.

    `mode` is stock, stock+sleep or tidegate; `where` is simulation, lab or cluster.
    """

    mode: str
    where: str
    pods: int
    clients: int
    budget_per_s: float
    scorecard: Scorecard

    def to_json(self) -> dict[str, Any]:
        """The run as it stands in the document."""
        return {
            "mode": self.mode,
            "where": self.where,
            "pods": self.pods,
            "clients": self.clients,
            "budget_per_s": self.budget_per_s,
            "scorecard": self.scorecard.to_json(),
        }


def document(runs: Sequence[Run]) -> dict[str, Any]:
    """The JSON document every command prints: ``{"runs": [..]}``."""
    return {"runs": [run.to_json() for run in runs]}
