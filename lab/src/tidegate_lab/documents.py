"""Writing a JSON document where the user asked for it: a file, or ``-`` for standard output."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tidegate.contract.errors import SettingsError

STDOUT = "-"


def check_writable(option: str, target: str | Path | None) -> None:
    """Raise `SettingsError` for a file that cannot be written, before there is anything to write.

    ``None`` and standard output always can.
    """
    if target is None or target == STDOUT:
        return
    path = Path(target)
    missing = [place for place in (path, *path.parents) if not place.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("a").close()
    except OSError as error:
        raise SettingsError(option, f"{path}: {error.strerror}") from None
    for place in missing:  # the deepest first; a run that is stopped leaves nothing
        place.unlink() if place == path else place.rmdir()


def write_json(target: str | None, value: dict[str, Any]) -> None:
    """Write `value` to `target`; ``None``: nowhere. Raises `SettingsError` if that fails."""
    if target is None:
        return
    text = json.dumps(value, indent=2) + "\n"
    if target == STDOUT:
        sys.stdout.write(text)
        return
    try:
        path = Path(target)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SettingsError("--json", f"{target}: {error.strerror}") from None
