"""`tidegate operator` runs the operator; `tidegate readmit` opens every closed pod and ends."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path
from typing import Final

from tidegate.contract.command import Command
from tidegate.contract.settings import variable
from tidegate_operator.kube.settings import OperatorSettings
from tidegate_process.environ import settings_help
from tidegate_process.logs import LogRules
from tidegate_process.program import only_environment, run_program

NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")

_KOPF_FIELDS: Final = ("k8s_skip", "k8s_ref", "settings")
_KOPF_RUNNING: Final = "kopf._core.reactor.running"
"""Warns at every start that it leaves the signals alone, which is what is wanted."""


def _run(_: argparse.Namespace) -> int:
    logs = LogRules(hidden=_KOPF_FIELDS, muted=_KOPF_RUNNING)
    own = _own_namespace()
    return run_program("operator", OperatorSettings, _operate, logs=logs, pod_namespace=own)


def _readmit(_: argparse.Namespace) -> int:
    # No certificate is made here, so its names need not be set.
    environ = {**os.environ, variable("certificates"): "files"}
    own = _own_namespace()
    return run_program("readmit", OperatorSettings, _open_all, environ=environ, pod_namespace=own)


def _operate(settings: OperatorSettings) -> int:
    # Imported here, so that --help and a bad setting do not wait for kopf and the client.
    from tidegate_kubernetes.api import Access
    from tidegate_operator.kube.process import run_operator
    from tidegate_process.loops import run

    return run(run_operator(settings, Access.from_environ(os.environ)))


def _open_all(settings: OperatorSettings) -> int:
    import asyncio

    from tidegate_kubernetes.api import Access
    from tidegate_operator.kube.readmit import readmit

    left = asyncio.run(readmit(Access.from_environ(os.environ), settings.place.watched))
    if left:
        logging.getLogger("tidegate.readmit").error("%d pod(s) are still closed", left)
    return 1 if left else 0


def _own_namespace() -> str:
    try:
        return NAMESPACE_FILE.read_text().strip()
    except OSError:
        return "default"


COMMAND = Command(
    summary="steer rolling updates in a Kubernetes cluster",
    add_arguments=only_environment,
    run=_run,
    description="Everything is set by environment variables; see the list below.",
    epilog=settings_help(OperatorSettings),
)

READMIT = Command(
    summary="open every pod that the operator has closed, and exit",
    add_arguments=only_environment,
    run=_readmit,
    description="Run it when the operator is uninstalled. It reads the operator's variables.",
    epilog=settings_help(OperatorSettings),
)
