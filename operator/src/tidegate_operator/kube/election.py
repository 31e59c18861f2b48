"""One of several replicas leads: kubernetes.aio's leader election on a Lease of our own.

The library decides; the Lease is read and written here, because the library's own lock cannot
create one (kubernetes 37.0 passes a boolean where its client insists on a string), lets failed
connections through and waits minutes for an answer, in which a leader would not notice that it has
been replaced. Here every error is a failed renewal, and every renewal goes to the `fence`. A leader
that reads another's name in the Lease has lost it at that moment. One that stops on purpose gives
the Lease back, so that the standby need not wait for it to run out. The leader carries a label, for
a Service that must reach the leader only; it takes the label after a look at the Lease, and gives
it back when the Lease is lost.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.leaderelection.electionconfig import Config
from kubernetes.aio.leaderelection.leaderelection import LeaderElection
from kubernetes.aio.leaderelection.leaderelectionrecord import LeaderElectionRecord
from kubernetes.aio.leaderelection.resourcelock.baselock import BaseLock

from tidegate.contract.kube import LABEL_LEADER
from tidegate_kubernetes.api import ApiError, KubeApi
from tidegate_operator.kube.events import micro_time
from tidegate_operator.kube.fence import Fence, FencedApi
from tidegate_operator.kube.settings import LeaseSettings

MARKED_CHECK_S = 5.0
"""How often a leader checks that it alone carries the label: while another one does, half of the
reports go astray."""

log = logging.getLogger("tidegate.lead")


class LeadershipLostError(Exception):
    """Raised when the Lease could not be renewed in time; the leader must stop at once."""


def leases(namespace: str) -> str:
    """The path of a namespace's Leases."""
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"


class LeaseLock(BaseLock):
    """A Lease as the library wants a lock: a failure is an answer, the loss of it an exception.

    An update carries the resourceVersion that was read, so that of two candidates one loses.
    """

    def __init__(
        self, api: KubeApi, name: str, namespace: str, identity: str, fence: Fence
    ) -> None:
        super().__init__(name, namespace, identity)
        self._api = api
        self._fence = fence
        self._lease: dict[str, Any] = {}

    async def get(
        self, name: str, namespace: str
    ) -> tuple[bool, LeaderElectionRecord] | tuple[bool, Exception] | tuple[bool, None]:
        """(True, record), or (False, the error with its status code in the body).

        Raises `LeadershipLostError` where the Lease was this replica's and is no more.
        """
        try:
            self._lease = await self._api.get(f"{leases(namespace)}/{name}")
        except ApiError as error:
            body = json.dumps({"code": error.status})
            return False, ApiException(status=error.status, reason=str(error), body=body)
        spec = self._lease.get("spec") or {}
        holder = spec.get("holderIdentity") or None
        if self._fence.taken and holder != self.identity:
            raise LeadershipLostError(f"the Lease is held by {holder}")
        if self._fence.taken and not self._fence.holds():
            raise LeadershipLostError("the Lease ran out before it was renewed")
        duration_s = spec.get("leaseDurationSeconds")
        return True, LeaderElectionRecord(
            holder,
            None if duration_s is None else str(duration_s),
            spec.get("acquireTime"),
            spec.get("renewTime"),
        )

    async def create(
        self, name: str, namespace: str, election_record: LeaderElectionRecord
    ) -> bool:
        """Whether the Lease was made, and with it won."""
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": name},
            "spec": renewed({}, election_record, time.time()),
        }
        return await self._tried(self._api.post(leases(namespace), body))

    async def update(self, name: str, namespace: str, updated_record: LeaderElectionRecord) -> bool:
        """Whether the Lease was renewed or taken over."""
        spec = renewed(self._lease.get("spec") or {}, updated_record, time.time())
        body = {**self._lease, "spec": spec}
        return await self._tried(self._api.put(f"{leases(namespace)}/{name}", body))

    async def _tried(self, call: Coroutine[Any, Any, dict[str, Any]]) -> bool:
        sent_s = self._fence.now()
        try:
            self._lease = await call
        except ApiError as error:
            log.warning("the Lease cannot be written: %s", error)
            return False
        self._fence.renewed(sent_s)
        return True


def renewed(spec: dict[str, Any], record: LeaderElectionRecord, now_s: float) -> dict[str, Any]:
    """A Lease's spec after `record` was won at `now_s` (Unix seconds).

    The library's own times are local ones without a zone, so they are not used. A new holder
    starts a new term (``acquireTime``) and counts as a transition.
    """
    now = micro_time(now_s)
    same = spec.get("holderIdentity") == record.holder_identity
    return {
        **spec,
        "holderIdentity": record.holder_identity,
        "leaseDurationSeconds": int(record.lease_duration or 1),
        "acquireTime": spec.get("acquireTime") or now if same else now,
        "renewTime": now,
        "leaseTransitions": (spec.get("leaseTransitions") or 0) + (0 if same else 1),
    }


class Election:
    """A candidate named `identity` for a Lease in `namespace`; `pod` is its own name, or empty.

    `lease_api` has the short timeouts that a renewal needs; `fence` is kept here and asked by every
    write of a leader.
    """

    def __init__(
        self,
        api: KubeApi,
        lease_api: KubeApi,
        settings: LeaseSettings,
        namespace: str,
        identity: str,
        pod: str,
        fence: Fence,
    ) -> None:
        self._lease_api = lease_api
        self._api = api
        self._fence = fence
        self._leader_api = FencedApi(api, fence)
        self._settings = settings
        self._namespace = namespace
        self._identity = identity
        self._pod = pod

    async def run(self, on_lead: Callable[[], None]) -> None:
        """Stand for election until cancelled; `on_lead` is called once, when it is won.

        Raises `LeadershipLostError`.
        """
        await self._mark(self._api, self._pod, leads=False)

        async def started() -> None:
            log.info("leading as %s", self._identity)
            on_lead()

        settings = self._settings
        lock = LeaseLock(
            self._lease_api, settings.name, self._namespace, self._identity, self._fence
        )
        election = LeaderElection(
            Config(
                lock,
                lease_duration=settings.duration_s,
                renew_deadline=settings.renew_deadline_s,
                retry_period=settings.retry_s,
                onstarted_leading=started,
                onstopped_leading=self._step_down,
            )
        )
        try:
            await election.run()
        except LeadershipLostError:
            await self._step_down()
            raise
        raise LeadershipLostError("the Lease was not renewed in time")

    async def _step_down(self) -> None:
        """Lead no more, from this line on; and lead no pod astray."""
        self._fence.lose()
        await self._mark(self._api, self._pod, leads=False)

    async def mark_leader(self) -> bool:
        """Give this pod the leader's label and take it from every other, if the Lease is its own.

        Failures are logged; returns whether there was none. Raises `LeadershipLostError`.
        """
        if not await self._confirmed():
            return False
        labelled = await self._labelled()
        others = [name for name in labelled or () if name != self._pod]
        marked = [await self._mark(self._leader_api, name, leads=False) for name in others]
        if labelled is not None and self._pod in labelled:
            return all(marked)
        mine = await self._mark(self._leader_api, self._pod, leads=True)
        return mine and labelled is not None and all(marked)

    async def stay_marked(self) -> None:
        """See to it, for ever, that the label is where it belongs; raises `LeadershipLostError`.

        The Service finds the leader by it: without it no report would ever come.
        """
        while True:
            marked = await self.mark_leader()
            await asyncio.sleep(MARKED_CHECK_S if marked else self._settings.retry_s)

    async def resign(self) -> None:
        """Give the Lease and the label back; for a clean end."""
        if not self._fence.holds():
            return
        self._fence.lose()
        path = self._lease_path()
        await self._mark(self._api, self._pod, leads=False)
        try:
            lease = await self._api.get(path)
            if lease["spec"].get("holderIdentity") == self._identity:
                lease["spec"]["holderIdentity"] = ""
                await self._api.put(path, lease)
        except ApiError as error:
            log.warning("the Lease could not be given back: %s", error)

    async def _confirmed(self) -> bool:
        """Whether the Lease, looked at now, is this replica's; raises `LeadershipLostError`."""
        try:
            lease = await self._lease_api.get(self._lease_path())
        except ApiError as error:
            log.warning("the Lease cannot be read: %s", error)
            return False
        holder = (lease.get("spec") or {}).get("holderIdentity")
        if holder != self._identity:
            await self._step_down()
            raise LeadershipLostError(f"the Lease is held by {holder or None}")
        return self._fence.holds()

    async def _labelled(self) -> list[str] | None:
        try:
            found = await self._api.get(self._pods(), {"labelSelector": f"{LABEL_LEADER}=true"})
        except ApiError as error:
            log.warning("cannot see who else carries the leader's label: %s", error)
            return None
        return [str(item["metadata"]["name"]) for item in found.get("items") or ()]

    async def _mark(self, api: KubeApi, pod: str, *, leads: bool) -> bool:
        if not pod:
            return True
        change = {"metadata": {"labels": {LABEL_LEADER: "true" if leads else None}}}
        try:
            await api.merge(f"{self._pods()}/{pod}", change)
        except ApiError as error:
            log.warning("pod %s cannot be labelled: %s", pod, error)
            return False
        return True

    def _pods(self) -> str:
        return f"/api/v1/namespaces/{self._namespace}/pods"

    def _lease_path(self) -> str:
        return f"{leases(self._namespace)}/{self._settings.name}"
