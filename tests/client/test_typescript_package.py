"""What `npm pack` would publish: the compiled entry points with types, and nothing loose."""

import json
from typing import Any, get_args

import pytest
from kit.node_tools import PACKAGE, run_node, run_npm

from tidegate_client import LostReason, StopReason

pytestmark = pytest.mark.usefixtures("built")


@pytest.fixture(scope="module")
def packed(built: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What npm has packed: its own words, and the tarball's `path`."""
    folder = tmp_path_factory.mktemp("packed")
    done = run_npm("pack", "--json", "--ignore-scripts", "--pack-destination", str(folder))
    assert done.returncode == 0, done.stderr
    (one,) = json.loads(done.stdout)
    return {**one, "path": str(folder / one["filename"])}


@pytest.mark.parametrize(
    "check", [("publint", "--strict"), ("attw", "--profile", "esm-only")], ids=" ".join
)
def test_publint_and_are_the_types_wrong_have_nothing_to_say(
    packed: dict[str, Any], check: tuple[str, ...]
) -> None:
    tool, *arguments = check
    done = run_node(f"node_modules/.bin/{tool}", *arguments, packed["path"])
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_would_be_published_is_the_compiled_client_and_its_papers(
    packed: dict[str, Any],
) -> None:
    sources = [path.stem for path in (PACKAGE / "src").glob("*.ts")]
    compiled = {f"dist/{name}{kind}" for name in sources for kind in (".js", ".d.ts")}
    assert {file["path"] for file in packed["files"]} == {
        *("LICENSE", "README.md", "package.json"),
        *compiled,
    }


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
    words = {*options, *get_args(LostReason), *get_args(StopReason)} - {"renewable", "repeat"}
    assert not [word for word in sorted(words) if f"`{word}`" not in readme]
