"""One operator process: kopf in a thread of its own, everything else on the main loop.

The main loop owns the signals, the store, the API client, both listeners, the certificate, the
election and, while it leads, the reconcile loop. Every write of a leader and every answer to a
report stands behind the `fence`. The permanent end of any of them ends the process, and so does the
end of kopf: a new process starts with new watches, the one cure that always works. Until it serves
it waits for the API server instead, which may be away, or refuse while its roles are being made.
kopf is not in the main thread, because it needs many seconds to end when a watch has failed and
would take the signals: the Lease must be given back at once, and the process must end.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from tidegate.contract.errors import SettingsError
from tidegate.contract.settings import variable
from tidegate_kubernetes.api import Access, ApiError, KubeApi
from tidegate_kubernetes.kinds import Kind
from tidegate_kubernetes.objects import Raw
from tidegate_operator.kube.cluster import KubernetesCluster
from tidegate_operator.kube.election import Election, LeadershipLostError
from tidegate_operator.kube.events import EventWriter
from tidegate_operator.kube.fence import Fence, FencedApi
from tidegate_operator.kube.identity import Identities
from tidegate_operator.kube.listeners import HEALTH_LIMITS, Condition, health_app, leader_only
from tidegate_operator.kube.settings import OperatorSettings
from tidegate_operator.kube.status.writer import StatusWriter
from tidegate_operator.kube.tls.ca_rollout import spread
from tidegate_operator.kube.tls.certificate_keeper import CertificateKeeper
from tidegate_operator.kube.watched.freshness import Freshness, WatchIsDeadError
from tidegate_operator.kube.watched.store import Store
from tidegate_operator.kube.watched.watching import watch
from tidegate_operator.meters import Meters
from tidegate_operator.reconcile import Reconciler
from tidegate_operator.report_api import report_app, report_server
from tidegate_operator.reports import ReportBook
from tidegate_process.descriptors import raise_descriptor_limit
from tidegate_process.listeners import bind
from tidegate_process.ports import Port, PortMetrics
from tidegate_process.serving import Server
from tidegate_process.signals import stop_on_signals

STOP_WITHIN_S: Final = 5.0
KOPF_STOPS_WITHIN_S: Final = 2.0
log = logging.getLogger("tidegate.operator")


class Backend:
    """Everything but the watches. Made and run on its own loop by `run`."""

    def __init__(self, settings: OperatorSettings, access: Access) -> None:
        self._settings = settings
        self._access = access
        self._stop = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._leads = asyncio.Event()
        self.store = Store()
        self.meters = Meters()
        self.book = ReportBook(time.monotonic)

    def inbox(self, kind: Kind, event: str | None, raw: Raw) -> None:
        """Take a watch's event; called from kopf's thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended before kopf has
            self._loop.call_soon_threadsafe(self._take, kind, event, raw)

    def stop(self) -> None:
        """End in good order; called from any thread."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stop.set)

    async def run(self) -> None:
        """Serve until `stop`; raises what ended it otherwise."""
        client = await self._access.client()
        try:
            async with contextlib.AsyncExitStack() as stack:
                starting = asyncio.create_task(self._start(KubeApi(client), client, stack))
                if await self._done_before_stop(starting):
                    await self._until_stopped(starting.result())
        finally:
            await client.close()  # type: ignore[no-untyped-call]

    def _take(self, kind: Kind, event: str | None, raw: Raw) -> None:
        if event == "DELETED":
            self.store.drop(kind, raw["metadata"]["uid"])
        else:
            self.store.put(kind, raw)

    async def _start(
        self, api: KubeApi, client: Any, stack: contextlib.AsyncExitStack
    ) -> list[asyncio.Task[None]]:
        settings = self._settings
        freshness = Freshness(api, self.store, settings.place.watched, time.monotonic)
        identity = settings.place.pod_name or f"operator-{uuid.uuid4().hex[:10]}"
        fence = Fence(settings.lease.duration_s, time.monotonic)
        leader_api = FencedApi(api, fence)
        election = Election(
            api,
            KubeApi(client, settings.lease.call_timeout_s),
            settings.lease,
            settings.place.namespace,
            identity,
            settings.place.pod_name,
            fence,
        )
        keeper = CertificateKeeper(
            api,
            leader_api,
            settings.certificates,
            settings.place.namespace,
            lambda: datetime.now(UTC),
        )
        cluster = KubernetesCluster(
            self.store,
            leader_api,
            settings.policy,
            Identities(api, lambda uid: self.store.pod(uid) is not None, time.monotonic),
            EventWriter(leader_api, identity, time.time),
            time.time,
            self.meters,
        )

        def serves() -> bool:
            return fence.holds() and freshness.synced.is_set()

        await self._listen(cluster, keeper, freshness, serves, stack)
        stack.push_async_callback(election.resign)
        return [
            asyncio.create_task(freshness.run()),
            asyncio.create_task(election.run(self._leads.set)),
            asyncio.create_task(
                keeper.run(serves, functools.partial(spread, leader_api, self.store))
            ),
            asyncio.create_task(self._lead(cluster, election, keeper, freshness, leader_api)),
        ]

    async def _listen(
        self,
        cluster: KubernetesCluster,
        keeper: CertificateKeeper,
        freshness: Freshness,
        serves: Callable[[], bool],
        stack: contextlib.AsyncExitStack,
    ) -> None:
        settings, at = self._settings, self._settings.listening

        def problem() -> str | None:
            age_s = freshness.age_s()
            stale = age_s > settings.watches.stale_after_s
            return f"nothing from a watch for {age_s:.0f} s" if stale else None

        self.meters.leading.set_function(lambda: float(serves()))
        self.meters.watch_age_seconds.set_function(freshness.age_s)
        condition = Condition(problem, serves, freshness.synced.is_set)
        below = raise_descriptor_limit().below_own
        health = Server(
            health_app(condition, self.meters),
            bind(at.host, at.health_port, variable("health_port")),
            Port("health", HEALTH_LIMITS, time.monotonic, below),
        )
        number = await health.start()
        stack.push_async_callback(health.stop)
        await keeper.first()
        reports = report_server(
            leader_only(report_app(cluster, self.book, self.meters), serves),
            at.host,
            at.report_port,
            keeper.context,
            below,
            at.max_reporting_pods,
        )
        self.meters.registry.register(PortMetrics((health.port, reports.port)))
        log.info("probes on port %d, reports on port %d", number, await reports.start())
        stack.push_async_callback(reports.stop)
        stack.callback(self.book.close)

    async def _lead(
        self,
        cluster: KubernetesCluster,
        election: Election,
        keeper: CertificateKeeper,
        freshness: Freshness,
        api: KubeApi,
    ) -> None:
        """Once it leads and knows the cluster: steer, until the process ends."""
        await self._leads.wait()
        await freshness.synced.wait()
        reconciler = Reconciler(cluster, self.book, time.monotonic, self.meters)
        status = StatusWriter(
            api,
            cluster,
            self.book,
            time.time,
            refusals=lambda: reconciler.refusals,
            holds=lambda: reconciler.holds,
            meters=self.meters,
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(election.stay_marked())
            with contextlib.suppress(ApiError):  # the keeper tries again and logs it
                await keeper.publish()

            def changed() -> None:
                reconciler.nudge()
                status.nudge()

            self.store.on_change = changed
            group.create_task(reconciler.run())
            group.create_task(status.run())

    async def _done_before_stop(self, starting: asyncio.Task[Any]) -> bool:
        """Whether a start was finished: it waits for an API server that may never answer."""
        stop = asyncio.create_task(self._stop.wait())
        await asyncio.wait([starting, stop], return_when=asyncio.FIRST_COMPLETED)
        done = starting.done()
        for task in (starting, stop):
            task.cancel()
        await asyncio.wait([starting, stop])
        return done

    async def _until_stopped(self, tasks: list[asyncio.Task[None]]) -> None:
        stop = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait([*tasks, stop], return_when=asyncio.FIRST_COMPLETED)
            ended = [task for task in tasks if task.done()]
        finally:
            for task in (*tasks, stop):
                task.cancel()
            await asyncio.wait([*tasks, stop], timeout=STOP_WITHIN_S)
        for task in ended:
            task.result()


class Watches:
    """kopf in a daemon thread of its own. `failure` is what ended it, if anything did."""

    def __init__(self, settings: OperatorSettings, access: Access, backend: Backend) -> None:
        self._settings = settings
        self._access = access
        self._backend = backend
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="kopf", daemon=True)
        self.failure: BaseException | None = None

    def start(self) -> None:
        """Begin to watch; should it end, the backend is stopped."""
        self._thread.start()

    async def stop(self) -> None:
        """Ask kopf to end and wait a moment; a process that ends takes the thread with it."""
        loop, stop = self._loop, self._stop
        if loop is not None and stop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended already
                loop.call_soon_threadsafe(stop.set)
        await asyncio.to_thread(self._thread.join, KOPF_STOPS_WITHIN_S)

    def _run(self) -> None:
        try:
            asyncio.run(self._watch())
        except BaseException as error:  # noqa: BLE001 - whatever ended a watch ends the process
            self.failure = error
        finally:
            self._backend.stop()

    async def _watch(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        await watch(self._access, self._settings.place.watched, self._backend.inbox, self._stop)


async def run_operator(settings: OperatorSettings, access: Access) -> int:
    """Run until a signal ends it (0), or until something ends that must not (1; 2: a setting)."""
    backend = Backend(settings, access)
    stop_on_signals(asyncio.get_running_loop(), backend.stop)
    watches = Watches(settings, access, backend)
    watches.start()
    failure: BaseException | None = None
    try:
        await backend.run()
    except Exception as error:  # noqa: BLE001 - said in one line, and in the exit status
        failure = error
    died = watches.failure
    await watches.stop()
    return _status(failure or died)


def _status(failure: BaseException | None) -> int:
    """The exit status, and one line for the log where there is a reason."""
    match failure:
        case None:
            return 0
        case SettingsError():
            log.error("%s", failure)
            return 2
        case LeadershipLostError() | WatchIsDeadError() | ApiError():
            log.error("ending: %s", failure)
        case _:
            log.error("ending", exc_info=failure)
    return 1
