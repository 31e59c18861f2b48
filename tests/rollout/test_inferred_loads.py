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
