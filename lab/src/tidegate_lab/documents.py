"""Writing a JSON document where the user asked for it: a file, or ``-`` for standard output."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tidegate.contract.errors import SettingsError

STDOUT = "-"


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
