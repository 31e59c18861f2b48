"""The answers of a proxy where the application has none that can be passed on."""

from __future__ import annotations

from typing import Final

from tidegate.contract.errors import CallerError

STOPPING: Final = CallerError(
    "stopping", "this pod is going away; send the request again", status=503
)


def bad_answer(problem: str) -> CallerError:
    """The application's answer cannot be passed on."""
    detail = f"the application's answer cannot be read: {problem}"
    return CallerError("bad_answer", detail, status=502)


def away(name: str, error: Exception) -> CallerError:
    """There is no connection to the application `name`, or it has closed it."""
    detail = f"the application at {name} is away: {error}"
    return CallerError("application_away", detail, status=502)


def silent(limit_s: float) -> CallerError:
    """The application has not answered within `limit_s`."""
    detail = f"the application has not answered within {limit_s:g} s"
    return CallerError("application_timeout", detail, status=504)
