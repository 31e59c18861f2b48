"""The scorecard: what one rollout did to the clients, by one definition.

Simulation, demo, end-to-end tests and benchmarks hand in the same raw observations (`observe`) and
get the same figures, so that a number means the same thing wherever it was measured. `measures`
holds the formulas, `scorecard` the document, `goals` what a good rollout must reach.
"""
