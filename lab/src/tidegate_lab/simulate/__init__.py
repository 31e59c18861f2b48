"""A fleet in virtual time: the production planner and drain, with clients and routers modelled.

Nothing sleeps and nothing is sent. What runs is `tidegate.rollout.plan` and `tidegate.drain` as
they run in production; what is modelled is around them: a Deployment that replaces its pods, a
kube-proxy that syncs late, clients that follow `retry:`. Ten thousand clients take seconds, so
a rule can be tried on hundreds of rollouts before it meets a socket.
"""
