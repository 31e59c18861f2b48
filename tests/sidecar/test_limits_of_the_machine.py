"""What the machine allows bounds the settings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tidegate.contract.settings import parse
from tidegate.contract.sidecar import SidecarSettings
from tidegate_process.memory_limit import memory_limit_bytes
from tidegate_sidecar.machine import BESIDE_BYTES, LEAST_SHARE, RING_FACTOR, within

MIB = 2**20


@pytest.fixture
def settings() -> SidecarSettings:
    made, _ = parse(SidecarSettings, {})
    assert made is not None
    return made


@pytest.mark.parametrize(("text", "limit"), [("536870912\n", 512 * MIB), ("max\n", None)])
def test_the_memory_limit_is_read_from_the_cgroup(
    tmp_path: Path, text: str, limit: int | None
) -> None:
    assert memory_limit_bytes(tmp_path) is None
    (tmp_path / "memory.max").write_text(text)
    assert memory_limit_bytes(tmp_path) == limit


def test_the_limit_that_the_injector_gives_is_enough_for_the_defaults(
    settings: SidecarSettings,
) -> None:
    assert within(settings, settings.limits.max_streams, 512 * MIB) == settings
    assert within(settings, settings.limits.max_streams, None) == settings


def test_ring_streams_and_the_rest_fit_into_the_memory_limit(settings: SidecarSettings) -> None:
    limit = 384 * MIB
    within_it = within(settings, 1000, limit).limits
    ring = settings.streams.ring_bytes * RING_FACTOR
    assert within_it.max_streams == 1000
    assert within_it.max_stream_bytes + ring + BESIDE_BYTES == limit


def test_a_ring_that_takes_everything_leaves_a_part_to_the_streams(
    settings: SidecarSettings,
) -> None:
    streams = replace(settings.streams, ring_bytes=10 * 2**30)
    limits = within(replace(settings, streams=streams), 1000, 256 * MIB).limits
    assert limits.max_stream_bytes == 256 * MIB // LEAST_SHARE
