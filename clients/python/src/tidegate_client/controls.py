"""Reading the server's own events, which an application may use the names of."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


def read_control(data: str, *durations: str) -> Mapping[str, Any] | None:
    """Read the data of `connected` or `shutdown`.

    ``None`` where one of the `durations` is missing or none: then it is some other application's
    event of the same name, and to be treated as such.
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not all(_is_duration(value.get(key)) for key in durations):
        return None
    return value


def _is_duration(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and value >= 0
