"""Reports of pods on a real API server: whose token it is, and where the figures show."""

from __future__ import annotations

from kit.waiting import until
from operator_kube.real_apiserver import Namespace, needs_apiserver, operator, post_report, three

pytestmark = needs_apiserver


async def test_a_pod_reports_with_its_own_token_and_the_status_shows_its_streams(
    namespace: Namespace,
) -> None:
    await namespace.deploy()
    await until(lambda: three(namespace))
    await namespace.become_ready()
    async with operator(namespace) as one:
        await until(one.leads)
        mine, other = (await namespace.pods())[:2]
        token = await namespace.token(mine)
        assert (await post_report(namespace, one, mine, token)).status_code == 200
        assert (await post_report(namespace, one, other, token)).status_code == 403
        assert (await post_report(namespace, one, mine, "nobody")).status_code == 401

        async def shown() -> bool:
            path = namespace.path("/apis/tidegate.dev/v1alpha1", "drainpolicies/shop")
            status = (await namespace.api.get(path)).get("status") or {}
            conditions = {c["type"]: c["status"] for c in status.get("conditions") or ()}
            return status.get("streams") == 10 and conditions == {
                "Ready": "True",
                "Steered": "True",
                "WellConfigured": "True",
            }

        await until(shown)
        metrics = await one.text("/metrics")
        assert "tidegate_operator_leading 1.0" in metrics
        assert "tidegate_operator_watch_age_seconds 0.0" in metrics
        assert await one.end() == 0, one.lines
