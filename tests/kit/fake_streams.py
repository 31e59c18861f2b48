"""Stand-ins for the ports the shell is written against."""

from tidegate_sidecar.streams import Gate, StreamInfo


class FakeStreams:
    """Implements `Streams` with counts; remembers who was let go when."""

    def __init__(self, count=0, clients=(), clock=lambda: 0.0):
        self.gate = Gate(bounce_retry_ms=1000)
        self.open_count = count
        self.lingering_count = 0
        self.arrived_total = count
        self.ended_total = {}
        self.bounced_total = {}
        self.refused_total = {}
        self.counters = {"events": 7}
        self.gone = []  # (time, Goodbye), one per stream
        self.cuts = 0
        self._clients = dict.fromkeys(clients, 1)
        self._clock = clock

    def let_go(self, count, goodbye):
        count = min(count, self.open_count)
        self.open_count -= count
        self.gone += [(self._clock(), goodbye)] * count
        self.ended_total[goodbye.reason] = self.ended_total.get(goodbye.reason, 0) + count
        return count

    def end_client(self, client, goodbye):
        self.gone.append((self._clock(), goodbye))
        return self._clients.pop(client, 0)

    def cut_all(self):
        self.cuts, self.open_count = self.open_count, 0
        return self.cuts

    def clients(self):
        return self._clients

    def streams_of(self, client):
        if client not in self._clients:
            return []
        return [StreamInfo("s1", client, ("a",), 1.5, "e-3", lagging=False)]


class BrokenBackplane:
    """A backplane whose store is away."""

    degraded = True
    problem = None
    canary_delay_s = None

    def __init__(self, error):
        self.counters = {"unavailable": 3}
        self.error = error

    async def append(self, publish):
        raise self.error
