"""One simulated rollout from a random start to its scorecard."""

from __future__ import annotations

import random

from tidegate.score.observe import CALM_S, Observations, is_over, score
from tidegate.score.scorecard import Run
from tidegate_lab.simulate.clients import Clients
from tidegate_lab.simulate.fleet import SimulatedFleet
from tidegate_lab.simulate.pods import SimulatedPod
from tidegate_lab.simulate.settings import Settings
from tidegate_lab.simulate.timeline import Timeline


class Rollout:
    """The wiring of one run: fleet, Service and clients on one timeline, one seed."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.timeline = Timeline()
        rng = random.Random(settings.seed)
        self.fleet = SimulatedFleet(settings, self.timeline, rng, self._released)
        self.clients = Clients(settings, self.timeline, rng, self.fleet.service)
        weights = [rng.lognormvariate(0.0, settings.skew) for _ in self.fleet.pods]
        for client in range(settings.clients):
            (pod,) = rng.choices(self.fleet.pods, weights)
            self.clients.place(client, pod)

    def _released(self, pod: SimulatedPod, client: int, retry_s: float | None) -> None:
        self.clients.released(pod, client, retry_s)
        self.fleet.changed()

    def run(self) -> Observations:
        """Carry the rollout out and observe it until every client is back and it is quiet."""
        self.fleet.changed()
        self.timeline.at(CALM_S, self.fleet.roll)
        self.timeline.run(self._quiet, self.settings.at_most_s)
        return self._observations()

    def _quiet(self) -> bool:
        fleet, now = self.fleet, self.timeline.now_s
        if fleet.settled_s is None:
            return False
        back = self.clients.connected == self.settings.clients
        return is_over(now, fleet.settled_s, self.clients.changes[-1].at_s, all_back=back)

    def _observations(self) -> Observations:
        settings, clients, fleet = self.settings, self.clients, self.fleet
        connected = {client for pod in fleet.pods for client in pod.streams}
        return Observations(
            pods=settings.pods,
            clients=settings.clients,
            budget_per_s=settings.budget_per_s,
            started_s=fleet.started_s or 0.0,
            moves=clients.moves,
            arrivals_s=clients.arrivals_s,
            stream_changes=clients.changes,
            live_pods=[p.name for p in fleet.pods],
            new_pods=fleet.ever_new,
            attempts=clients.attempts,
            bounced=clients.bounced,
            cut_without_goodbye=clients.cut,
            failed_connects=clients.failed_connects,
            offline_s=clients.offline_s,
            deliveries=clients.deliveries(connected),
        )


def simulate(settings: Settings) -> Run:
    """The scorecard of one rollout; the ratio that needs a stock run is left ``None``."""
    observed = Rollout(settings).run()
    return Run(
        mode=settings.policy,
        where="simulation",
        pods=settings.pods,
        clients=settings.clients,
        budget_per_s=settings.budget_per_s,
        scorecard=score(observed),
    )
