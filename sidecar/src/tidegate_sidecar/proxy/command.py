"""`tidegate proxy`: runs a proxy in front of one application until a signal ends it."""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
from collections.abc import Iterator
from typing import NamedTuple

from tidegate.contract.command import Command
from tidegate.contract.proxy import ProxySettings
from tidegate.contract.settings import variable
from tidegate.contract.sidecar import CommonListening, env
from tidegate_process.descriptors import raise_descriptor_limit
from tidegate_process.environ import settings_help
from tidegate_process.listeners import bind
from tidegate_process.program import run_program


class Listeners(NamedTuple):
    """A listening socket per port."""

    public: socket.socket
    admin: socket.socket


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--upstream",
        metavar="URL",
        help="the application, such as http://127.0.0.1:8000; before TIDEGATE_UPSTREAM",
    )


def _run(arguments: argparse.Namespace) -> int:
    name = os.environ.get(env("pod_name")) or socket.gethostname()
    environ = dict(os.environ)
    if arguments.upstream is not None:
        environ[variable("upstream")] = arguments.upstream
    return run_program("proxy", ProxySettings, _go, environ=environ, pod_name=name, pod_uid=name)


def _go(settings: ProxySettings) -> int:
    with _listen(settings.listening) as listeners:
        # Imported here, so that neither --help nor a bad setting waits for the servers' libraries,
        # and the first probe waits in the kernel.
        from tidegate_sidecar.proxy.process import run_proxy

        return run_proxy(settings, listeners.public, listeners.admin, raise_descriptor_limit())


@contextlib.contextmanager
def _listen(at: CommonListening) -> Iterator[Listeners]:
    wanted = (
        (at.host, at.public_port, env("public_port")),
        (at.admin_host, at.admin_port, env("admin_port")),
    )
    with contextlib.ExitStack() as stack:
        yield Listeners(*(stack.enter_context(contextlib.closing(bind(*one))) for one in wanted))


COMMAND = Command(
    summary="pass requests on to an application that streams by itself, and drain its streams",
    add_arguments=_add_arguments,
    run=_run,
    description="Everything else is set by environment variables; see the list below.",
    epilog=settings_help(ProxySettings),
)
