"""Every event against the ledger: what counts as lost, repeated and expected."""

from __future__ import annotations

from tidegate.contract.publish import To
from tidegate.score.deliveries import Deliveries, Ledger, LedgerEntry, check


def ledger(*entries: tuple[int, To, float], end_s: float = 100.0) -> Ledger:
    return Ledger([LedgerEntry(*entry) for entry in entries], end_s)


EVERYONE = To(everyone=True)


def test_expected_is_the_audience_above_the_first_position() -> None:
    book = ledger(
        (1, EVERYONE, 1.0),
        (2, EVERYONE, 2.0),
        (3, To(client="ann"), 3.0),
        (4, To(client="bob"), 4.0),
        (5, To(topics=("a", "b")), 5.0),
        (6, To(topics=("c",)), 6.0),
    )
    assert book.expected("ann", ["b"], after=1) == {2, 3, 5}
    assert book.expected(None, [], after=0) == {1, 2}


def test_what_was_acknowledged_in_the_last_two_seconds_is_not_expected() -> None:
    book = ledger((1, EVERYONE, 98.0), (2, EVERYONE, 98.1))
    assert book.expected(None, [], after=0) == {1}


def test_lost_and_repeated_are_counted_apart() -> None:
    assert check({1, 2, 3}, [1, 3, 9], repeated=2) == Deliveries(
        received=5, expected=3, lost=1, duplicated=2
    )


def test_counts_of_clients_add_up() -> None:
    one, other = Deliveries(3, 4, 1, 5), Deliveries(30, 40, 10, 50)
    assert one + other == Deliveries(33, 44, 11, 55)


def test_a_client_or_topic_without_events_of_its_own_expects_those_for_everyone() -> None:
    assert ledger((1, EVERYONE, 1.0)).expected("new", ["quiet"], after=0) == {1}
