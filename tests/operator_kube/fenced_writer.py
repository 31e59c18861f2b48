"""A program that leads by a Lease and writes a label as fast as it can; exit status 3 when it ends.

Started by `test_fencing`, which stops it: ``fenced_writer.py PORT LEASE_S``.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

from kubernetes.aio import client

from tidegate_kubernetes.api import ApiError, KubeApi
from tidegate_operator.kube.election import Election, LeadershipLostError
from tidegate_operator.kube.fence import Fence, FencedApi
from tidegate_operator.kube.settings import LeaseSettings

POD = "/api/v1/namespaces/tidegate/pods/a"


async def main(port: int, lease_s: int) -> int:
    configuration = client.Configuration()
    configuration.host = f"http://127.0.0.1:{port}"
    configuration.client_session_kwargs = {"trust_env": False}
    made = client.ApiClient(configuration)
    settings = LeaseSettings("tidegate-operator", lease_s)
    api, lease_api = KubeApi(made), KubeApi(made, settings.call_timeout_s)
    fence = Fence(lease_s)
    fenced = FencedApi(api, fence)
    election = Election(api, lease_api, settings, "tidegate", "a", "a", fence)

    async def write() -> None:
        count = 0
        while True:
            count += 1
            with contextlib.suppress(ApiError):
                await fenced.merge(POD, {"metadata": {"labels": {"count": str(count)}}})
            await asyncio.sleep(0.001)

    writing: list[asyncio.Task[None]] = []

    def lead() -> None:
        writing.extend(asyncio.create_task(write()) for _ in range(4))

    try:
        await election.run(lead)
    except LeadershipLostError:
        pass
    finally:
        for task in writing:
            task.cancel()
        await made.close()  # type: ignore[no-untyped-call]
    return 3


if __name__ == "__main__":
    sys.exit(asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]))))
