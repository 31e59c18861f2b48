"""Reads a program's settings from its environment: the same way for all three of them.

Every bad value is reported at once, without secrets. A variable of ours that is no setting is a
warning that names the nearest one: a setting that is silently not read is worse than a crash.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from tidegate.contract.errors import SettingsError
from tidegate.contract.settings import PREFIX, parse, rows, variable

T = TypeVar("T")

# Kubernetes sets these for every Service of the namespace, also for one that is named tidegate.
# ``…_PORT`` holds an address there and a number in a setting, so that the value distinguishes them.
_LINK_NAME = re.compile(
    r"TIDEGATE(_\w+)?_(SERVICE_(HOST|PORT)(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_LINK_VALUE = re.compile(r"(tcp|udp|sctp)://\S+")


def read(
    settings: type[T], environ: Mapping[str, str], **fallbacks: str
) -> tuple[T, tuple[str, ...]]:
    """The settings, and warnings for the log.

    `fallbacks` by name hold where the environment has none or an empty text. Raises one
    `SettingsError` that names every setting that is not usable.
    """
    ours = {k: v for k, v in environ.items() if k.startswith(PREFIX) and not _is_link(k, v)}
    texts, warnings = dict(fallbacks), []
    for row in rows(settings):
        for name in (*reversed(row.was), row.name):
            text = ours.get(variable(name))
            if text is not None and (text or row.name not in fallbacks):
                texts[row.name] = text
        warnings += [
            f"{variable(old)} is called {row.variable} now; the old name is still read"
            for old in row.was
            if variable(old) in ours
        ]
    made, problems = parse(settings, texts)
    if made is None:
        raise SettingsError.of([problem.worded(variable) for problem in problems])
    return made, (*warnings, *_unknown(settings, ours))


def settings_help(settings: type[Any]) -> str:
    """Every variable with its default, its meaning and what is allowed, for ``--help``."""
    lines = ["environment variables:"]
    for row in rows(settings):
        default = "must be given" if row.default is None else f"default: {row.default or 'empty'}"
        lines += [f"  {row.variable} ({default})", f"      {row.help}", f"      {row.kind.allowed}"]
    return "\n".join(lines)


def _is_link(name: str, value: str) -> bool:
    if _LINK_NAME.fullmatch(name):
        return True
    return name.endswith("_PORT") and _LINK_VALUE.fullmatch(value) is not None


def _unknown(settings: type[Any], ours: Mapping[str, str]) -> Iterator[str]:
    known = [row.variable for row in rows(settings)]
    read_too = {variable(old) for row in rows(settings) for old in row.was}
    for name in sorted(ours.keys() - known - read_too):
        (nearest,) = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
        yield f"{name} is not a setting; did you mean {nearest}?"
