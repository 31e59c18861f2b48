"""A healthy rollout says when it begins, what it opens and closes, and how it ended."""

from __future__ import annotations

import pytest
from operator_kube.test_rollout_scorecards import BEGUN, END, MIDDLE, REST, SMOOTH, ended, watched

from tidegate.rollout.snapshot import Action, Pod, Policy, SetAdmit, Workload
from tidegate_operator.kube.status.announcing import Announcement, announce, figures
from tidegate_operator.kube.status.rollouts import NOT_WHOLE, Watched
from tidegate_operator.reconcile import steered

POLICY = Policy(budget_per_s=40.0)


def test_the_first_event_names_the_streams_and_the_least_time() -> None:
    rest = watched(SMOOTH[0])
    event = announce(rest, watched(*SMOOTH[:2]), BEGUN, POLICY)
    assert event == Announcement(
        "RolloutStarted",
        "200 streams on 2 pods move at up to 40 per second, which takes 5 s or more",
    )
    assert announce(watched(*SMOOTH[:2]), watched(*SMOOTH[:3]), BEGUN, POLICY) is None
    assert announce(rest, rest, REST, POLICY) is None


def test_the_last_event_tells_how_it_ended() -> None:
    seen = ended(watched(*SMOOTH), END, 10.0)
    event = announce(watched(*SMOOTH), seen, END, POLICY)
    assert event == Announcement(
        "RolloutFinished",
        "all streams had moved after 9 s; 1.050 moves per client; the fullest pod holds 1.10 and "
        "the emptiest 0.90 of the mean",
    )
    assert announce(seen, seen, END, POLICY) is None
    assert seen.last is not None
    assert None not in figures(seen.last).values()


def test_a_new_leader_announces_the_end_alone_with_the_reason_for_what_is_missing() -> None:
    found = watched((3.0, MIDDLE), (10.0, END))
    assert announce(Watched(), found, MIDDLE, POLICY) is None
    event = announce(found, ended(found, END, 10.0), END, POLICY)
    assert event is not None
    assert event.message.endswith(f"the rest is not measured: {NOT_WHOLE}")


@pytest.mark.parametrize(
    ("actions", "line"),
    [
        ((), ""),
        (
            (SetAdmit("a", True), SetAdmit("c", False), SetAdmit("b", False)),
            "opened a; closed b, c",
        ),
    ],
)
def test_the_log_line_names_the_pods_whose_label_changes(
    actions: tuple[Action, ...], line: str
) -> None:
    workload = Workload("web", 3, "new", tuple(Pod(n, n, "new", ready=True) for n in "abc"))
    assert steered(workload, actions) == line
