"""The TypeScript client's own tests and its size, by the verbs of its package.json."""

import subprocess

import pytest
from kit.node_tools import PACKAGE, run_node
from kit.runtimes import command

pytestmark = pytest.mark.usefixtures("built")


def test_its_tests_pass_and_take_every_branch_of_parser_and_decisions() -> None:
    done = run_node("scripts/coverage.mjs")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "parser.js" in done.stdout
    assert "connector.js" in done.stdout


def test_its_tests_pass_in_the_oldest_node_that_is_supported() -> None:
    tests = sorted(str(path) for path in PACKAGE.glob("build/*.test.js"))
    assert tests
    run = [*command("node 18"), "--test", "--test-concurrency=4", *tests]
    done = subprocess.run(run, cwd=PACKAGE, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_entry_point_is_within_its_size_budget() -> None:
    if not (PACKAGE / "node_modules" / "esbuild").exists():
        pytest.skip("run 'npm ci' in clients/typescript first")
    done = run_node("scripts/size.mjs")
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_face_delivers_no_fewer_events_per_cpu_second_than_the_npm_package() -> None:
    if not (PACKAGE / "node_modules" / "eventsource").exists():
        pytest.skip("run 'npm ci' in clients/typescript first")
    done = run_node("scripts/throughput.mjs", "30000", "15")
    assert done.returncode == 0, done.stdout + done.stderr
