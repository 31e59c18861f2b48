"""How a setting is declared: once, as a field of a frozen dataclass.

::

    @dataclass(frozen=True, slots=True)
    class StreamSettings:
        heartbeat_s: float = setting("15", number(1, 3600, "seconds"), "Silence after which …")

The field is what the program reads. Its declaration carries the default as text, the kind, the
help and whether a pod's annotation may set it, and `rows` lists the declarations: the environment,
``--help``, the documentation, the annotations and the chart are made from that list. A program's
settings are one such class whose fields are `group`\\ s of others.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, NamedTuple, TypeVar

from tidegate.contract.kinds import Kind, choice

PREFIX: Final = "TIDEGATE_"
"""In front of every environment variable of Tidegate."""

DAY_S: Final = 86_400
HOUR_MS: Final = 3_600_000

_ROW: Final = "row"
_GROUP: Final = "group"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Annotation:
    """A key that a person may write on a pod, without its prefix. An empty `default`: not set."""

    key: str
    default: str
    kind: Kind
    help: str


@dataclass(frozen=True, slots=True)
class Row:
    """One declared setting. `name` is unique in a program; a `default` of ``None``: must be given.

    `was` are former names, which are still read. `resource` is the field's name in a custom
    resource and in the chart, where it is one there.
    """

    name: str
    default: str | None
    kind: Kind
    help: str
    annotation: Annotation | None
    was: tuple[str, ...]
    resource: str

    @property
    def variable(self) -> str:
        """The environment variable."""
        return variable(self.name)


class Problem(NamedTuple):
    """Why the setting `name` is not usable; each ``{}`` of `text` stands for one of `others`."""

    name: str
    text: str
    others: tuple[str, ...] = ()

    def worded(self, spelled: Callable[[str], str]) -> tuple[str, str]:
        """The name and the sentence, with names as the reader has spelled them."""
        text = self.text.format(*map(spelled, self.others)) if self.others else self.text
        return spelled(self.name), text


def variable(name: str) -> str:
    """The environment variable of the setting `name`."""
    return PREFIX + name.upper()


def setting(
    default: str | None,
    kind: Kind,
    help: str,  # noqa: A002 - as argparse calls it
    *,
    name: str = "",
    annotation: bool | Mapping[str, Any] = False,
    was: tuple[str, ...] = (),
    resource: str = "",
) -> Any:
    """Declare a field. `name` where it is not the field's, `was` its former names.

    `annotation` may be a mapping of those parts of the `Annotation` that are not the setting's.
    Raises `ValueError` for a default that the kind refuses.
    """
    declared = {
        "name": name, "default": default, "kind": kind, "help": help, "annotation": annotation,
        "was": was, "resource": resource,
    }  # fmt: skip
    metadata = {_ROW: declared}
    if default is None:
        return field(repr=not kind.secret, metadata=metadata)
    kind.parse(default)
    made = functools.partial(kind.parse, default)
    return field(default_factory=made, repr=not kind.secret, metadata=metadata)


def group(settings: type[T]) -> T:
    """Declare a field that holds a class of settings."""
    made: T = field(default_factory=settings, metadata={_GROUP: settings})
    return made


def rows(settings: type[Any]) -> tuple[Row, ...]:
    """Every setting of a class and its groups, in the order of their declaration."""
    found: list[Row] = []
    for declared in fields(settings):
        if _GROUP in declared.metadata:
            found += rows(declared.metadata[_GROUP])
        elif _ROW in declared.metadata:
            found.append(_row(declared.name, **declared.metadata[_ROW]))
    return tuple(found)


def groups(settings: type[Any]) -> tuple[type[Any], ...]:
    """The class itself and every group in it."""
    inner = (f.metadata[_GROUP] for f in fields(settings) if _GROUP in f.metadata)
    return (settings, *(one for each in inner for one in groups(each)))


def parse(settings: type[T], texts: Mapping[str, str]) -> tuple[T | None, tuple[Problem, ...]]:
    """Make the settings of `texts` by name, the default where there is none.

    Returns either the settings or every problem found. Where each value is usable by itself, the
    classes' ``problems()`` are asked whether they can be true together.
    """
    values: dict[str, Any] = {}
    found: list[Problem] = []
    for row in rows(settings):
        text = texts.get(row.name, row.default)
        try:
            if text is None:
                raise ValueError("missing")
            values[row.name] = row.kind.parse(text.strip())
        except ValueError:
            found.append(Problem(row.name, row.kind.refusal((text or "").strip())))
    if found:
        return None, tuple(found)
    made = _make(settings, values)
    contradictions = tuple(_contradictions(made))
    return (None, contradictions) if contradictions else (made, ())


def duplicates(**ports: int) -> Iterator[Problem]:
    """A problem for each port by name that an earlier one has; 0 is any free one."""
    seen: dict[int, str] = {}
    for name, port in ports.items():
        if port and port in seen:
            yield Problem(name, f"must differ from {{}}, both are {port}", (seen[port],))
        seen.setdefault(port, name)


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What a program logs; the same in each of them."""

    level: str = setting(
        "info",
        choice("debug", "info", "warning", "error"),
        "The least severe log lines written (JSON, to stderr).",
        name="log_level",
        annotation=True,
    )


def _row(field_name: str, name: str, annotation: Any, **declared: Any) -> Row:
    name = name or field_name
    key = None
    if annotation is not False:
        same = {part: declared[part] for part in ("default", "kind", "help")}
        changed = {} if annotation is True else annotation
        key = Annotation(**{"key": name.replace("_", "-"), **same, **changed})
    return Row(name=name, annotation=key, **declared)


def _make(settings: type[T], values: Mapping[str, Any]) -> T:
    made: dict[str, Any] = {}
    for declared in fields(settings):  # type: ignore[arg-type]
        if _GROUP in declared.metadata:
            made[declared.name] = _make(declared.metadata[_GROUP], values)
        elif _ROW in declared.metadata:
            name = declared.metadata[_ROW]["name"] or declared.name
            made[declared.name] = values[name]
    return settings(**made)


def _contradictions(settings: Any) -> Iterator[Problem]:
    for declared in fields(settings):
        if _GROUP in declared.metadata:
            yield from _contradictions(getattr(settings, declared.name))
    check = getattr(settings, "problems", None)
    if check is not None:
        yield from check()
