"""Makes a pod's reporter from its settings, the same for sidecar and proxy."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine

from tidegate.contract.sidecar import OperatorSettings
from tidegate_sidecar.drainer import Drainer
from tidegate_sidecar.metrics import Metrics
from tidegate_sidecar.reporting.credentials import TokenFile, trust
from tidegate_sidecar.reporting.report import Pod
from tidegate_sidecar.reporting.reporter import Reporter

_log = logging.getLogger("tidegate.process")


def make_reporter(
    operator: OperatorSettings, pod_token: str, pod: Pod, drainer: Drainer, metrics: Metrics
) -> Reporter | None:
    """The reporter to `operator`, ``None`` where there is none.

    It sends the token of the operator's settings, else `pod_token`.
    """
    if operator.url is None:
        return None
    clock, file = time.monotonic, operator.token_file
    return Reporter(
        operator.url,
        (lambda: pod_token) if file is None else TokenFile(file, clock),
        pod,
        drainer,
        metrics,
        clock,
        tls=trust(operator.ca_file),
    )


def start_logged(work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
    """Run `work` in the background; an error that ends it is logged, and ends nothing else."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_log_failure)
    return task


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _log.error("%s ended", task.get_name(), exc_info=task.exception())
