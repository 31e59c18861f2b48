"""Every branch of Python's parser and of what its client decides is taken by a test.

The TypeScript client's `scripts/coverage.mjs` does the same. What runs here is deterministic: the
vectors and the tests beside them, with a fixed seed where inputs are drawn.
"""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MEASURED = (
    "core/src/tidegate/wire/decode.py",
    "clients/python/src/tidegate_client/ack_pacer.py",
    "clients/python/src/tidegate_client/actions.py",
    "clients/python/src/tidegate_client/connections.py",
    "clients/python/src/tidegate_client/connector.py",
    "clients/python/src/tidegate_client/controls.py",
    "clients/python/src/tidegate_client/decisions.py",
    "clients/python/src/tidegate_client/inbox.py",
    "clients/python/src/tidegate_client/return_time.py",
)
TESTS = (
    "tests/wire/test_decoding.py",
    "tests/client/test_acknowledgement_pacing.py",
    "tests/client/test_client_decisions.py",
)


def coverage(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "coverage", *arguments]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)


def test_every_branch_of_parser_and_decisions_is_taken(tmp_path: Path) -> None:
    pytest.importorskip("coverage", reason="no coverage: run make install")
    data = f"--data-file={tmp_path / 'coverage'}"
    include = f"--include={','.join(f'*/{path}' for path in MEASURED)}"
    # It splits random streams at every byte, takes no branch that the vectors do not take, and most
    # of the time of all of them.
    without = ("-k", "not round_trip_at_every_chunk_split")
    options = ("-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", *without)
    pytest_run = ("-m", "pytest", *options, *TESTS)
    done = coverage("run", "--branch", include, data, *pytest_run)
    assert done.returncode == 0, done.stdout + done.stderr
    report = coverage("report", "--show-missing", "--precision=2", "--fail-under=100", data)
    assert report.returncode == 0, report.stdout + report.stderr
    for path in MEASURED:
        assert path in report.stdout, f"{path} was not measured: has it moved?"
