"""What a pod holds now, from what it said last and what has been let go since."""

from __future__ import annotations

from rollout.fleets import draining, pod

from tidegate.rollout.memory import Segment, WorkloadMemory, infer_loads

RETRY_S = 0.75
DRAINED = WorkloadMemory(segments=(Segment("old", 10.0, 12.0, 40.0),))
"""80 streams let go from 10 s to 12 s, back by 12.75 s."""


def test_streams_that_have_landed_since_a_report_count_on_the_open_pods() -> None:
    pods = (pod("a", 10, report_age_s=0.25), pod("b", 10, report_age_s=0.25))
    loads, _ = infer_loads(pods, DRAINED, 11.5, RETRY_S)
    assert loads.of == {"a": 15.0, "b": 15.0}
    assert loads.in_air == 30.0


def test_a_pod_that_has_been_silent_holds_what_it_said() -> None:
    """It was closed while the others were filled; opened again it is no fuller for it."""
    pods = (pod("silent", 91, report_age_s=6.0), pod("newborn", 0, report_age_s=3.0))
    loads, _ = infer_loads(pods, DRAINED, 14.0, RETRY_S)
    assert loads.of == {"silent": 91.0, "newborn": 0.0}


def test_a_draining_pod_has_let_go_what_was_ordered_since_its_report() -> None:
    pods = (draining("old", 60, report_age_s=0.25),)
    loads, _ = infer_loads(pods, DRAINED, 11.0, RETRY_S)
    assert loads.of == {"old": 50.0}


def test_what_was_ordered_counts_as_let_go_until_it_is_ordered_otherwise() -> None:
    ordered = DRAINED.with_segments(11.0, (Segment("old", 11.5, 13.0, 20.0),))
    assert ordered.segments == (
        Segment("old", 10.0, 11.0, 40.0),
        Segment("old", 11.5, 13.0, 20.0),
    )
    assert ordered.ended_between(0.0, 20.0) == 70.0
    assert ordered.ended_between(10.5, 12.0) == 30.0
    assert ordered.ended_between(0.0, 20.0, "other") == 0.0
    assert DRAINED.with_segments(10.0, ()).segments == (), "none of it was let go"


def test_a_drain_that_goes_on_at_its_rate_is_one_segment() -> None:
    goes_on = DRAINED.with_segments(11.0, (Segment("old", 11.0, 13.0, 40.0),))
    slower = DRAINED.with_segments(11.0, (Segment("old", 11.0, 13.0, 20.0),))
    other = DRAINED.with_segments(11.0, (Segment("b", 11.0, 13.0, 40.0),))
    assert goes_on.segments == (Segment("old", 10.0, 13.0, 40.0),)
    assert [len(memory.segments) for memory in (slower, other)] == [2, 2]


def test_a_segment_is_forgotten_when_it_can_matter_no_more() -> None:
    assert DRAINED.with_segments(31.9, ()).segments == DRAINED.segments
    assert DRAINED.with_segments(32.0, ()).segments == ()


def test_the_fleet_is_as_large_as_it_was_at_any_moment_of_three_seconds() -> None:
    """A report that misses arrivals does not make it shrink."""
    memory = WorkloadMemory()
    totals = []
    for now, streams in ((0.0, 100), (1.0, 90), (2.9, 95), (3.0, 80), (5.9, 80)):
        loads, memory = infer_loads((pod("a", streams),), memory, now, RETRY_S)
        totals.append(loads.total)
    assert totals == [100.0, 100.0, 100.0, 95.0, 80.0]
    assert infer_loads((pod("a", 0, report=None),), WorkloadMemory(), 0.0, RETRY_S)[0].of == {
        "a": 0.0
    }


def test_a_deadline_is_kept_until_one_differs_by_more_than_half_a_second() -> None:
    first = WorkloadMemory().with_deadlines(10.0, {"a": 30.0, "b": None})
    near = first.with_deadlines(11.0, {"a": 29.5})
    far = first.with_deadlines(11.0, {"a": 29.6})
    assert first.deadlines_s == near.deadlines_s == {"a": 40.0}
    assert far.deadlines_s == {"a": 40.6}
    assert near.with_deadlines(12.0, {}).deadlines_s == {}
