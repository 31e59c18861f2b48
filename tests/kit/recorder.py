"""A reader that remembers, with bounded waits."""

import asyncio

from kit.waiting import until


class Recorder:
    def __init__(self):
        self.epochs = []  # (epoch, position) of each reset
        self.entries = []
        self.position = None
        self.is_filled = False
        self.slow_s = 0.0

    def reset(self, epoch, position):
        self.epochs.append((epoch, position))
        self.position = position

    async def read(self, entries, position):
        if self.slow_s:
            await asyncio.sleep(self.slow_s)
        self.entries += entries
        assert position >= self.position
        self.position = position

    def filled(self):
        assert not self.is_filled, "filled is said once"
        self.is_filled = True

    @property
    def epoch(self):
        return self.epochs[-1][0]

    @property
    def data(self):
        return [entry.data for entry in self.entries]

    @property
    def seqs(self):
        return [entry.seq for entry in self.entries]

    async def until(self, condition):
        await until(lambda: condition(self))
