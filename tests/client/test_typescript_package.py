"""What `npm pack` would publish: the compiled entry points with types, and nothing loose."""

import json
from typing import get_args

import pytest
from client.node_tools import PACKAGE, run_node

from tidegate_client import LostReason, StopReason

pytestmark = pytest.mark.usefixtures("built")


def test_publint_has_nothing_to_say() -> None:
    cli = PACKAGE / "node_modules" / "publint" / "src" / "cli.js"
    if not cli.exists():
        pytest.skip("run 'npm ci' in clients/typescript first")
    done = run_node(str(cli), "--strict", "--pack", "false")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_entry_point_has_code_and_types_and_no_dependency() -> None:
    manifest = json.loads((PACKAGE / "package.json").read_text())
    assert not manifest.get("dependencies")
    assert manifest["files"] == ["dist", "README.md"]
    for name, target in manifest["exports"].items():
        for path in target.values() if isinstance(target, dict) else [target]:
            assert (PACKAGE / path).exists(), f"{name}: {path}"


def test_the_lock_file_names_no_host() -> None:
    lock = json.loads((PACKAGE / "package-lock.json").read_text())
    assert not [path for path, package in lock["packages"].items() if "resolved" in package]


def test_every_option_and_reason_is_in_the_readme() -> None:
    readme = (PACKAGE / "README.md").read_text()
    script = "import {DEFAULTS} from './dist/decisions.js'; console.log(JSON.stringify(DEFAULTS))"
    options = json.loads(run_node("--input-type=module", "--eval", script).stdout)
    words = {*options, *get_args(LostReason), *get_args(StopReason)} - {"renewable"}
    assert not [word for word in sorted(words) if f"`{word}`" not in readme]


def test_the_react_hook_is_short() -> None:
    hook = (PACKAGE / "examples" / "use-event-stream.tsx").read_text()
    assert len(hook.splitlines()) <= 30
