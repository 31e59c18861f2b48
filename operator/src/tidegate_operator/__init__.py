"""The operator: watches rollouts, decides when each stream moves and where it lands.

The decisions are `tidegate.rollout`; here live the loop, the report API and the ports to the
world. Nothing in this package's top level imports kopf or kubernetes, so that a local fleet can
run the very same operator.
"""
