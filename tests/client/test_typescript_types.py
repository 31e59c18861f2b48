"""Programs of other people compile against the packed package, by the real compiler.

Each program in `clients/typescript/test/consumers` is compiled in a folder of its own, where npm
would have put the tarball, under `strict` and with the types of its libraries checked as well.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from kit.node_tools import PACKAGE, packed_tarball, run_node

# The compiler takes its time where it checks the libraries as well, and more on a busy machine.
pytestmark = [pytest.mark.usefixtures("built"), pytest.mark.timeout(600)]

CONSUMERS = PACKAGE / "test" / "consumers"
ES = ["ES2022"]
DOM = [*ES, "DOM", "DOM.Iterable"]
STRICT = {
    "strict": True,
    "exactOptionalPropertyTypes": True,
    "noUncheckedIndexedAccess": True,
    "noImplicitOverride": True,
    "skipLibCheck": False,
    "noEmit": True,
    "target": "ES2022",
    "types": [],
}
NODE_NEXT = {"module": "NodeNext"}
BUNDLER = {"module": "ESNext", "moduleResolution": "Bundler"}
OLD = {"module": "ESNext", "moduleResolution": "node10", "ignoreDeprecations": "5.0"}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a program that has the tarball, and the other libraries, installed."""
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


def complaints(program: Path, sources: dict[str, str], options: Mapping[str, object]) -> str:
    """The compiler's errors about a program of these sources, by file name."""
    for file, text in sources.items():
        (program / file).write_text(text)
    config = {"compilerOptions": {**STRICT, **options}, "files": list(sources)}
    (program / "tsconfig.json").write_text(json.dumps(config))
    compiler = PACKAGE / "node_modules" / "typescript" / "bin" / "tsc"
    done = run_node(str(compiler), "-p", str(program))
    assert (done.returncode == 0) == (not done.stdout), done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("files", "options"),
    [
        ("native plain", {"lib": DOM, **BUNDLER}),
        ("plain", {"lib": [*ES, "WebWorker"], **BUNDLER}),
        ("plain", {"lib": ES, **NODE_NEXT}),
        ("plain", {"lib": ES, **OLD}),
        ("plain undici", {"lib": ES, "types": ["node"], **NODE_NEXT}),
        ("native undici required", {"lib": DOM, "types": ["node"], **NODE_NEXT}),
    ],
    ids=lambda value: value if isinstance(value, str) else json.dumps(value),
)
def test_a_program_compiles(program: Path, files: str, options: Mapping[str, object]) -> None:
    paths = [path for path in CONSUMERS.iterdir() if path.stem in files.split()]
    assert len(paths) == len(files.split())
    sources = {path.name: path.read_text() for path in paths}
    assert complaints(program, sources, options) == ""


@pytest.mark.parametrize("package", ["eventsource", "tidegate/eventsource"])
def test_a_program_for_the_npm_package_compiles_for_both(program: Path, package: str) -> None:
    text = (CONSUMERS / "npm-eventsource.ts").read_text().replace("'eventsource'", f"'{package}'")
    options: dict[str, object] = {"lib": DOM, "types": ["node"], **NODE_NEXT}
    assert complaints(program, {"npm.ts": text}, options) == ""


def test_a_program_with_a_mistake_does_not_compile(program: Path) -> None:
    text = "import {SseClient} from 'tidegate'\nnew SseClient('http://x', {fetch: 1})\n"
    assert "error TS2322" in complaints(program, {"wrong.ts": text}, {"lib": ES, **NODE_NEXT})


def test_require_loads_every_entry_point(program: Path) -> None:
    manifest = json.loads((PACKAGE / "package.json").read_text())
    names = [f"tidegate{name[1:]}" for name in manifest["exports"] if not name.endswith(".json")]
    script = program / "require.cjs"
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
