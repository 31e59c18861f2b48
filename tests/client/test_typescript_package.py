"""What `npm pack` would publish: the compiled entry points with types, and nothing loose."""

import json
import re
import tarfile
from pathlib import Path
from typing import get_args

import pytest
from kit.node_tools import PACKAGE, packed_tarball, run_node

from tidegate_client import LostReason, StopReason

pytestmark = pytest.mark.usefixtures("built")


@pytest.fixture(scope="module")
def packed(built: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tarball."""
    return packed_tarball(tmp_path_factory.mktemp("packed"))


@pytest.fixture(scope="module")
def files(packed: Path) -> dict[str, str]:
    """The text of every file in the tarball, by its path in the package."""
    with tarfile.open(packed) as tarball:
        found = {member.name: tarball.extractfile(member) for member in tarball.getmembers()}
        return {
            name.removeprefix("package/"): file.read().decode()
            for name, file in found.items()
            if file is not None
        }


@pytest.mark.parametrize(
    "check",
    # The package is ES modules only, which every resolution but Node's of old can load.
    [("publint", "--strict"), ("attw", "--ignore-rules", "cjs-resolves-to-esm")],
    ids=" ".join,
)
def test_publint_and_are_the_types_wrong_have_nothing_to_say(
    packed: Path, check: tuple[str, ...]
) -> None:
    tool, *arguments = check
    done = run_node(f"node_modules/.bin/{tool}", str(packed), *arguments)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_would_be_published_is_the_compiled_client_and_its_papers(
    files: dict[str, str],
) -> None:
    sources = [path.stem for path in (PACKAGE / "src").glob("*.ts")]
    compiled = {f"dist/{name}{kind}" for name in sources for kind in (".js", ".d.ts")}
    examples = {f"examples/{path.name}" for path in (PACKAGE / "examples").iterdir()}
    assert set(files) == {"LICENSE", "README.md", "package.json", *compiled, *examples}


def test_the_readme_links_to_nothing_outside_the_tarball(files: dict[str, str]) -> None:
    targets = re.findall(r"\]\(([^)]+)\)", files["README.md"])
    local = [target for target in targets if not re.match(r"https://|#", target)]
    assert local, "the README has no link into the package any more"
    for target in local:
        path = target.removeprefix("./").rstrip("/")
        assert any(name == path or name.startswith(f"{path}/") for name in files), target


def test_every_entry_point_has_code_and_types_and_no_dependency() -> None:
    manifest = json.loads((PACKAGE / "package.json").read_text())
    assert not manifest.get("dependencies")
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
