"""`tidegate sidecar`: reads the environment and runs one sidecar until a signal ends it."""

from __future__ import annotations

import argparse
import os
import socket

from tidegate.contract.command import Command
from tidegate.contract.sidecar import SidecarSettings, env
from tidegate_process.descriptors import raise_descriptor_limit
from tidegate_process.environ import settings_help
from tidegate_process.program import only_environment, run_program
from tidegate_sidecar.listeners import listen


def _run(_: argparse.Namespace) -> int:
    # In Kubernetes a pod has the host's name.
    name = os.environ.get(env("pod_name")) or socket.gethostname()
    return run_program("sidecar", SidecarSettings, _go, pod_name=name, pod_uid=name)


def _go(settings: SidecarSettings) -> int:
    with listen(settings.listening) as listeners:
        # Imported here, so that neither --help nor a bad setting waits for the servers' libraries,
        # and the first probe waits in the kernel.
        from tidegate_sidecar.process import run_sidecar

        return run_sidecar(settings, listeners, raise_descriptor_limit())


COMMAND = Command(
    summary="stream Server-Sent Events for an application in the same pod",
    add_arguments=only_environment,
    run=_run,
    description="Everything is set by environment variables; see the list below.",
    epilog=settings_help(SidecarSettings),
)
