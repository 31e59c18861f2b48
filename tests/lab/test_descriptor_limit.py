"""A login shell's 1,024 descriptors: taken up to what the system allows, or said to be too few."""

from __future__ import annotations

import subprocess
import sys

import pytest

LIMITED = """
import resource, sys
soft, hard = map(int, sys.argv[1:3])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
sys.argv[1:] = sys.argv[3:]
"""
DEMO = (
    LIMITED
    + """
from tidegate_lab.demo import conduct

async def instead(*_):
    print("limits", *resource.getrlimit(resource.RLIMIT_NOFILE))
    raise SystemExit(0)

conduct._run_all = instead
from tidegate_cli.main import main
sys.exit(main(["demo", *sys.argv[1:]]))
"""
)
BENCH = (
    LIMITED
    + """
import bench.__main__ as bench

def instead(streams):
    print("limits", *resource.getrlimit(resource.RLIMIT_NOFILE))
    raise SystemExit(0)

bench.measure = instead
sys.exit(bench.main())
"""
)


def run(script: str, soft: int, hard: int, *options: str) -> subprocess.CompletedProcess[str]:
    """Limits that are lowered stay so, hence a process of its own."""
    command = [sys.executable, "-c", script, str(soft), str(hard), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("script", "option"), [(DEMO, "--clients"), (BENCH, "--streams")], ids=["demo", "bench"]
)
def test_the_soft_limit_is_raised_to_the_hard_one(script: str, option: str) -> None:
    done = run(script, 300, 2400, option, "1500")
    assert (done.returncode, done.stdout) == (0, "limits 2400 2400\n"), done.stderr


@pytest.mark.parametrize(
    ("script", "option"), [(DEMO, "--clients"), (BENCH, "--streams")], ids=["demo", "bench"]
)
def test_a_hard_limit_that_is_too_low_is_said_before_anything_runs(
    script: str, option: str
) -> None:
    done = run(script, 300, 1024, option, "1500")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{option}: " in done.stderr
    assert "the system allows 1024" in done.stderr
