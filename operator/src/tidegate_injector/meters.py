"""The injector's metrics, in a registry of their own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

DECISIONS = ("injected", "unchanged", "denied", "ignored", "malformed", "failed")


class Meters:
    """What the injector counts; one instance per injector."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.reviews = Counter(
            "tidegate_injector_reviews",
            "Pods reviewed, by decision; `failed` is an error of the injector's own.",
            ["decision"],
            registry=self.registry,
        )
        for decision in DECISIONS:
            self.reviews.labels(decision=decision)
        self.review_seconds = Histogram(
            "tidegate_injector_review_seconds", "Time to decide.", registry=self.registry
        )
        self.certificate_expiry = Gauge(
            "tidegate_injector_certificate_expiry_timestamp_seconds",
            "Expiry of the webhook's certificate (Unix time); 0 before there is one.",
            registry=self.registry,
        )
        self.certificate_loads = Counter(
            "tidegate_injector_certificate_loads",
            "Certificates loaded, by result.",
            ["result"],
            registry=self.registry,
        )
