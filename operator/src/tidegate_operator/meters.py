"""The operator's metrics, in a registry of their own so that two operators share nothing."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Meters:
    """What the operator counts; one instance per operator."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.reports = Counter(
            "tidegate_operator_reports", "Reports accepted.", registry=self.registry
        )
        self.refused = Counter(
            "tidegate_operator_reports_refused",
            "Reports refused, by reason.",
            ["reason"],
            registry=self.registry,
        )
        self.answers = Counter(
            "tidegate_operator_answers", "Answers written.", registry=self.registry
        )
        self.held = Gauge(
            "tidegate_operator_reports_held", "Reports held open now.", registry=self.registry
        )
        self.actions = Counter(
            "tidegate_operator_actions",
            "Actions executed, by kind.",
            ["kind"],
            registry=self.registry,
        )
        self.action_errors = Counter(
            "tidegate_operator_action_errors",
            "Actions that failed, by kind.",
            ["kind"],
            registry=self.registry,
        )
        self.failures = Counter(
            "tidegate_operator_failures",
            "Steps that failed and were skipped, by part.",
            ["part"],
            registry=self.registry,
        )
        self.leading = Gauge(
            "tidegate_operator_leading",
            "1 on the replica that leads and knows the cluster, else 0.",
            registry=self.registry,
        )
        self.watch_age_seconds = Gauge(
            "tidegate_operator_watch_age_seconds",
            "Seconds by which the stalest watch is overdue; 0 while all are fresh.",
            registry=self.registry,
        )
        self.streams_leaving = Gauge(
            "tidegate_operator_rollout_streams",
            "Streams of the pods that a rollout of this workload deletes together.",
            ["workload"],
            registry=self.registry,
        )
        self.streams_fitting = Gauge(
            "tidegate_operator_grace_streams",
            "Streams that the budget lets go within the grace period of this workload's pods.",
            ["workload"],
            registry=self.registry,
        )
        self.plan_seconds = Histogram(
            "tidegate_operator_plan_seconds", "Time to plan one scope.", registry=self.registry
        )
