"""Tidegate's pure core: everything that decides, and nothing that touches the world.

No module below this package does IO, reads a clock or draws a random number: time comes in as
``now``, randomness as a number or a generator's callable, and what comes out is a decision that a
shell carries out. That is what lets the production planner run unchanged in a simulation.
"""

__version__ = "0.1.0"
