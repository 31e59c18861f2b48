"""The planner: a snapshot of a fleet in, actions out.

``plan(snapshot, policy, now, memory) -> Decision`` is level-based: it has no logic per event, may
be called at any time with an empty memory, and is idle when the world is as desired. The rule and
its figures stand in `tidegate.rollout.steering`.
"""
