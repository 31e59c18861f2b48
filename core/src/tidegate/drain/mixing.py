"""The next stream to let go: one that hands over, or one that does not.

Both are let go at the same even pace, but the first comes back at once and the second after its
`retry:`. If the two kinds followed one another by chance, a run of the second kind would land
together with a later run of the first. So each kind goes in proportion to what is left of it: at a
steady pace as many then come back in any second as were let go in it. Computed for 5 pods of 100
streams, 40 goodbyes per second, one client in ten handing over and a `retry:` of 0.75 s: by chance
the fullest second has 43 to 50 returns, in proportion 41 to 44 (tests/drain/test_mixed_clients.py).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mix:
    """What has been let go so far; `owed` is how much of a handing-over client is due (0 to 1).

    It starts at a half, so that rounding favours neither kind.
    """

    owed: float = 0.5

    def next(self, plain: int, handing_over: int) -> tuple[bool, Mix]:
        """Whether the next to go hands over, given how many of each kind are left, and the new mix.

        Raises `ValueError` where no stream is left.
        """
        if plain + handing_over <= 0:
            raise ValueError("no stream is left to let go")
        if not handing_over or not plain:
            return not plain, self
        owed = self.owed + handing_over / (plain + handing_over)
        hands_over = owed >= 1.0
        return hands_over, Mix(owed - hands_over)
