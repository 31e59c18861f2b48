"""The clients and the audiences of events: the same for every mode, by seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tidegate.contract.publish import To

TOPICS = 10
_EVERYONE_SHARE = 0.6
_TOPIC_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Person:
    """A client: its id, its topics, and whether it hands over."""

    name: str
    topics: tuple[str, ...]
    handover: bool


def population(count: int, handover_share: float, seed: int) -> list[Person]:
    """`count` clients with one or two topics each; exactly the share of them hands over."""
    draw = random.Random(f"population {seed}")
    handing_over = set(draw.sample(range(count), round(count * handover_share)))
    return [
        Person(
            name=f"client-{number:05d}",
            topics=tuple(dict.fromkeys((f"topic/{number % TOPICS}", _any_topic(draw)))),
            handover=number in handing_over,
        )
        for number in range(count)
    ]


def audiences(people: Sequence[Person], seed: int) -> Iterator[To]:
    """An endless mix: most events for all, some for one or two topics, some for one client."""
    draw = random.Random(f"audiences {seed}")
    while True:
        kind = draw.random()
        if kind < _EVERYONE_SHARE:
            yield To(everyone=True)
        elif kind < _EVERYONE_SHARE + _TOPIC_SHARE:
            yield To(topics=tuple(dict.fromkeys((_any_topic(draw), _any_topic(draw)))))
        else:
            yield To(client=draw.choice(people).name)


def _any_topic(draw: random.Random) -> str:
    return f"topic/{draw.randrange(TOPICS)}"
