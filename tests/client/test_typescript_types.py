"""Programs of other people compile against the packed package, by the real compiler.

Each program in `clients/typescript/test/consumers` is compiled beside the tarball, put where npm
would have put it, under `strict` and with the package's own types checked as well.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from kit.node_tools import PACKAGE, packed_tarball, run_node

pytestmark = pytest.mark.usefixtures("built")

CONSUMERS = PACKAGE / "test" / "consumers"
ES = ["ES2022"]
DOM = [*ES, "DOM", "DOM.Iterable"]
STRICT = {
    "strict": True,
    "exactOptionalPropertyTypes": True,
    "noUncheckedIndexedAccess": True,
    "noImplicitOverride": True,
    "noEmit": True,
    "target": "ES2022",
    "types": [],
}
NODE_NEXT = {"module": "NodeNext"}
BUNDLER = {"module": "ESNext", "moduleResolution": "Bundler"}
OLD = {"module": "ESNext", "moduleResolution": "node10", "ignoreDeprecations": "5.0"}


@dataclass(frozen=True)
class Program:
    """Sources by file name, and what they are compiled with."""

    sources: Mapping[str, str]
    options: Mapping[str, object]


def consumers(files: str, options: Mapping[str, object]) -> Program:
    """A program of these files of the folder of consumers."""
    paths = [path for path in CONSUMERS.iterdir() if path.stem in files.split()]
    assert len(paths) == len(files.split())
    return Program({path.name: path.read_text() for path in paths}, options)


def importing(package: str) -> Program:
    """The program that is written for the npm package, importing another one in its place."""
    text = (CONSUMERS / "npm-eventsource.ts").read_text().replace("'eventsource'", f"'{package}'")
    return Program({"npm.ts": text}, {"lib": DOM, "types": ["node"], **NODE_NEXT})


RIGHT = {
    "in a page": consumers("native plain", {"lib": DOM, **BUNDLER}),
    "in a worker": consumers("plain", {"lib": [*ES, "WebWorker"], **BUNDLER}),
    "without lib DOM": consumers("plain", {"lib": ES, **NODE_NEXT}),
    "with node10": consumers("plain", {"lib": ES, **OLD}),
    "with undici": consumers("plain undici", {"lib": ES, "types": ["node"], **NODE_NEXT}),
    "by require": consumers("native undici required", {"lib": DOM, "types": ["node"], **NODE_NEXT}),
    "for eventsource": importing("eventsource"),
    "for eventsource, with tidegate/eventsource": importing("tidegate/eventsource"),
}
WRONG = Program(
    {"wrong.ts": "import {SseClient} from 'tidegate'\nnew SseClient('http://x', {fetch: 1})\n"},
    {"lib": ES, **NODE_NEXT},
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that has the tarball, and the other libraries, installed."""
    folder = tmp_path_factory.mktemp("program")
    modules = folder / "node_modules"
    modules.mkdir()
    with tarfile.open(packed_tarball(folder)) as tarball:
        tarball.extractall(modules, filter="data")
    (modules / "package").rename(modules / "tidegate")
    for name in ("@types", "eventsource", "undici", "undici-types"):
        (modules / name).symlink_to(PACKAGE / "node_modules" / name, target_is_directory=True)
    (folder / "package.json").write_text('{"type": "module"}')
    return folder


@pytest.fixture(scope="module")
def complaints(installed: Path) -> dict[str, str]:
    """The compiler's errors about each program, by its name. One process, as it starts slowly."""
    programs = {**RIGHT, "wrong": WRONG}
    order = []
    for number, program in enumerate(programs.values()):
        folder = installed / str(number)
        folder.mkdir()
        for file, text in program.sources.items():
            (folder / file).write_text(text)
        options = {**STRICT, **program.options}
        order.append({"folder": str(folder), "files": [*program.sources], "options": options})
    done = run_node("scripts/compile.mjs", feed=json.dumps(order))
    assert done.returncode == 0, done.stderr
    return dict(zip(programs, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("name", RIGHT)
def test_a_program_compiles(complaints: dict[str, str], name: str) -> None:
    assert complaints[name] == ""


def test_a_program_with_a_mistake_does_not_compile(complaints: dict[str, str]) -> None:
    assert "error TS2322" in complaints["wrong"]


def test_require_loads_every_entry_point(installed: Path) -> None:
    manifest = json.loads((PACKAGE / "package.json").read_text())
    names = [f"tidegate{name[1:]}" for name in manifest["exports"] if not name.endswith(".json")]
    script = installed / "require.cjs"
    script.write_text(
        "const [major, minor] = process.versions.node.split('.').map(Number)\n"
        "const can = major > 22 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19)\n"
        f"const names = {json.dumps(names)}\n"
        "for (const name of names) {\n"
        "  try {\n"
        "    console.log(name, Object.keys(require(name)).length > 0)\n"
        "  } catch (error) {\n"
        "    if (can) throw error\n"
        "    console.log(name, /dynamic import\\(\\)/.test(error.message))\n"
        "  }\n"
        "}\n"
    )
    done = run_node("--no-warnings", str(script))
    assert done.stdout.split() == [word for name in names for word in (name, "true")], done.stderr
