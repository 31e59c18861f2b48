"""The NATS that the chart brings: how many logs it holds, said where people look."""

from __future__ import annotations

import re

from chart.rendering import CHART, RELEASE, helm, render, requires_helm

from tidegate.contract.sidecar import SidecarSettings
from tidegate_sidecar.backplane.jetstream.settings import JetStreamSettings

pytestmark = requires_helm
MIB = 2**20


def test_a_new_nats_configuration_rolls_its_pod() -> None:
    before, after = (
        dict(render("nats.enabled=true", f"nats.maxFileStore={size}").pods())["tidegate-nats"]
        for size in ("900Mi", "800Mi")
    )
    key = "checksum/config"
    assert before["metadata"]["annotations"][key] != after["metadata"]["annotations"][key]


def test_it_holds_as_many_logs_as_is_said() -> None:
    ring = SidecarSettings().streams
    log_mib = JetStreamSettings("", "", ring.ring_events, ring.ring_bytes).keep_bytes // MIB
    (configuration,) = [
        o["data"]["nats.conf"]
        for o in render("nats.enabled=true").of_kind("ConfigMap")
        if "nats.conf" in o["data"]
    ]
    store_mib = int(re.findall(r"max_file_store: (\d+)MB", configuration)[0])
    assert store_mib // log_mib == 76
    assert f"the default holds {store_mib // log_mib} applications" in (
        (CHART / "values.yaml").read_text().replace("\n  # ", " ")
    )
    readme = " ".join((CHART / "README.md").read_text().split())
    assert (
        f"({log_mib} MiB) of `nats.maxFileStore` ({store_mib:,} MiB), so 76 applications" in readme
    )
    words = f"the logs of 76 applications: {store_mib} MiB (nats.maxFileStore), {log_mib} MiB each"
    assert words in notes("nats.enabled=true")
    assert "the logs of 10 applications: 10240 MiB" in notes(
        "nats.enabled=true",
        "nats.maxFileStore=10Gi",
        "nats.persistence.size=11Gi",
        "sidecar.defaults.ring-bytes=536870912",
    )


def notes(*values: str) -> str:
    """What the person who installs is told."""
    done = helm("install", RELEASE, str(CHART), "--dry-run=client", values=values)
    assert done.returncode == 0, done.stderr
    return done.stdout.partition("\nNOTES:\n")[2]
