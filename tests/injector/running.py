"""A real injector process on loopback, and certificates for it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIMIT_S = 20.0


@dataclass
class Running:
    """A started process; its ports are known once it has announced them."""

    process: asyncio.subprocess.Process

    async def ports(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), LIMIT_S)
        said: dict[str, Any] = json.loads(line)
        return said

    async def stop(self) -> int:
        self.process.terminate()
        return await asyncio.wait_for(self.process.wait(), LIMIT_S)


@contextlib.asynccontextmanager
async def injector(folder: Path, **settings: str) -> AsyncIterator[Running]:
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONWARNINGS": "error",
        "TIDEGATE_HOST": "127.0.0.1",
        "TIDEGATE_WEBHOOK_PORT": "0",
        "TIDEGATE_HEALTH_PORT": "0",
        "TIDEGATE_CERTIFICATE_DIR": str(folder),
        "TIDEGATE_SIDECAR_IMAGE": "registry.example/sidecar:1",
        "TIDEGATE_SIDECAR_DEFAULTS": '{"backplane": "nats://nats:4222"}',
        "TIDEGATE_OPERATOR_URL": "https://operator.tidegate.svc:9443",
        "TIDEGATE_STOP_DELAY_S": "0",
        **{f"TIDEGATE_{name}": value for name, value in settings.items()},
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tidegate_injector"),
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Running(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


def admission(pod: dict[str, Any], **request: Any) -> dict[str, Any]:
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "operation": "CREATE",
            "namespace": "shop",
            "object": pod,
            "oldObject": None,
            "dryRun": False,
            **request,
        },
    }


def pod(**annotations: str) -> dict[str, Any]:
    keys = {f"tidegate.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return {
        "metadata": {
            "generateName": "web-",
            "annotations": {"tidegate.dev/inject": "true", **keys},
        },
        "spec": {"containers": [{"name": "web", "image": "web"}]},
    }
