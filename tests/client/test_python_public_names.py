"""What `tidegate_client` offers: exactly the names listed, all of them explained."""

import ast
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import tidegate_client

ROOT = Path(__file__).parents[2]
README = ROOT / "clients" / "python" / "README.md"
WITHOUT_HTTPX2 = "import sys; sys.modules['httpx2'] = None; import tidegate_client"


def test_the_public_names_are_exactly_those_listed() -> None:
    modules = {module.name for module in pkgutil.iter_modules(tidegate_client.__path__)}
    imported = {"annotations", "httpx2"}
    public = {name for name in vars(tidegate_client) if not name.startswith("_")}
    assert public - modules - imported == set(tidegate_client.__all__)
    assert tidegate_client.__all__ == sorted(tidegate_client.__all__)


def test_every_public_name_is_explained_where_it_is_defined() -> None:
    explained: set[str] = set()
    for path in Path(tidegate_client.__path__[0]).glob("*.py"):
        body = ast.parse(path.read_text()).body
        for statement, following in zip(body, [*body[1:], None], strict=True):
            if isinstance(statement, ast.ClassDef) and ast.get_docstring(statement):
                explained.add(statement.name)
            is_text = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            if isinstance(statement, ast.Assign) and is_text:
                explained |= {t.id for t in statement.targets if isinstance(t, ast.Name)}
    # `Event` is the core's, and explained there.
    assert inspect.getdoc(tidegate_client.Event)
    assert set(tidegate_client.__all__) - {"Event"} <= explained


def test_every_public_name_is_on_the_page() -> None:
    page = README.read_text()
    assert not [name for name in tidegate_client.__all__ if f"`{name}" not in page]


def test_every_public_member_is_explained() -> None:
    missing = [
        f"{name}.{member}"
        for name in tidegate_client.__all__
        if inspect.isclass(kind := getattr(tidegate_client, name))
        for member, value in vars(kind).items()
        if not member.startswith("_") and (callable(value) or isinstance(value, property))
        if not inspect.getdoc(value)
    ]
    assert not missing


def test_without_the_extra_the_import_says_which_line_installs_it() -> None:
    argv = [sys.executable, "-c", WITHOUT_HTTPX2]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ModuleNotFoundError: ")
    assert "pip install 'tidegate[client]'" in last
