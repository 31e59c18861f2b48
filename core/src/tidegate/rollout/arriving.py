"""Arrivals that no drain has ordered: a crowd that joins after a deploy, or returns after a crash.

They land by chance on whatever is open, cannot be slowed down, and go on while a label change is on
its way to the routers. So they are a part of every outlook (`steering`), and no stream is moved
while they come: what is uneven now may be even a second later, and a round that opens few pods
would lead all of them there (3.53 times N/k on one pod, measured with 250 clients a second).

Only growth counts. A client that was let go has ended on one pod before it arrives on another, so
the streams of the fleet never grow by more than were on their way, whatever is being moved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tidegate.rollout.snapshot import Pod

WINDOW_S = 2.0
"""Over how long the growth is taken: several reports of each pod."""

SAMPLE_EVERY_S = 0.25


@dataclass(frozen=True, slots=True)
class Sample:
    """The streams per pod at one look, and how many more may have been on their way then."""

    at_s: float
    streams: Mapping[str, int]
    on_their_way: float


@dataclass(frozen=True, slots=True)
class Arriving:
    """The looks of the last `WINDOW_S`, oldest first."""

    samples: tuple[Sample, ...] = ()


def follow(
    arriving: Arriving, pods: Sequence[Pod], on_their_way: float, now: float
) -> tuple[Arriving, float]:
    """The looks with this one, and how many streams per second arrive that no drain has let go.

    `on_their_way` are the streams that may have ended without having arrived, late reports
    included. A pod that is heard for the first time adds nothing: its streams are not new.
    """
    streams = {p.uid: p.report.streams for p in pods if p.report is not None}
    samples = arriving.samples
    if not samples or now - samples[-1].at_s >= SAMPLE_EVERY_S:
        samples = (*samples, Sample(now, streams, on_their_way))
        # The oldest is kept as long as the next one is too young to stand for the window.
        while len(samples) > 2 and now - samples[1].at_s >= WINDOW_S:
            samples = samples[1:]
    before: dict[str, int] = {}
    for seen in (*(sample.streams for sample in samples), streams):
        before = {**seen, **before}
    first = samples[0]
    grown = sum(streams.values()) - sum(before.values()) - first.on_their_way
    return Arriving(samples), max(0.0, grown) / max(WINDOW_S, now - first.at_s)
