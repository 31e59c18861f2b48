"""Numbers of a command line: each has a range, and one outside it gets a sentence."""

from __future__ import annotations

from tidegate.contract.errors import SettingsError

_SHOWN_DIGITS = 30


def check_range(option: str, value: float, least: float, most: float) -> None:
    """Raise `SettingsError` for a number outside the range, ``inf`` and ``nan`` included."""
    if not least <= value <= most:
        raise SettingsError(
            option, f"is {_shown(value)}, must be from {least:,.15g} to {most:,.15g}"
        )


def _shown(value: float) -> str:
    """An int may be too large to be a float, or to be printed at all (Python's 4,300 digits)."""
    digits = f"{value:g}" if isinstance(value, float) else str(value)
    return digits if len(digits) <= _SHOWN_DIGITS else f"{digits[:_SHOWN_DIGITS]}..."
