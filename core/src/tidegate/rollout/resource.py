"""A policy as Kubernetes has it: the fields of a DrainPolicy's spec, and of the chart's default.

Both are derived from the declarations of `Policy`. What is a switch there is ``Enabled`` or
``Disabled`` in the custom resource, as the API conventions ask (a boolean cannot grow a third
state), and a boolean in the chart; seconds may be milliseconds, because the conventions want whole
numbers. https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from tidegate.contract.errors import DocumentError
from tidegate.contract.settings import Row, parse, rows
from tidegate.rollout.snapshot import Policy

_SWITCH: Final = {"on": "Enabled", "off": "Disabled"}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the spec. `schema` is OpenAPI, without a default where the field has none."""

    row: Row
    name: str
    schema: Mapping[str, Any]

    @property
    def is_switch(self) -> bool:
        """Whether it is a boolean in the chart."""
        return "enum" in self.schema

    @property
    def scale(self) -> int:
        """How many of the field's units are one of the policy's."""
        return 1000 if self.row.name.endswith("_s") and "Milliseconds" in self.name else 1

    def text(self, value: object) -> str:
        """The value of a spec as a setting's text; raises `DocumentError`."""
        if self.is_switch:
            for text, word in _SWITCH.items():
                if value == word:
                    return text
            raise self._refusal("must be Enabled or Disabled")
        least, most = self.schema["minimum"], self.schema["maximum"]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._refusal("must be a number")
        if not least <= value <= most:
            raise self._refusal(f"must be a number from {least} to {most}")
        whole = self.schema["type"] == "integer" and self.scale == 1
        return str(round(value)) if whole else str(value / self.scale)

    def _refusal(self, problem: str) -> DocumentError:
        return DocumentError("DrainPolicy", f"spec.{self.name}", problem)


def policy_of(spec: Mapping[str, Any], default: Policy) -> Policy:
    """The policy of a DrainPolicy's spec, `default` where a field is missing.

    The API server has validated and defaulted the spec by the same schema; an older CRD has fewer
    fields. Raises `DocumentError` with the field.
    """
    given = {f.row.name: f.text(spec[f.name]) for f in FIELDS if spec.get(f.name) is not None}
    made, problems = parse(Policy, given)
    if made is None:
        names = {field.row.name: field.name for field in FIELDS}
        name, text = problems[0].worded(lambda name: names[name])
        raise DocumentError("DrainPolicy", f"spec.{name}", text)
    return replace(default, **{name: getattr(made, name) for name in given})


def _field(row: Row) -> Field:
    schema = row.kind.schema
    schema = schema["anyOf"][-1] if "anyOf" in schema else schema
    if "enum" in schema:
        kind: dict[str, Any] = {"type": "string", "enum": [*_SWITCH.values()]}
        return Field(row, row.resource, _with_default(row, kind, _SWITCH[row.default or ""]))
    scale = Field(row, row.resource, {}).scale
    bounds = {bound: round(schema[bound] * scale, 9) for bound in ("minimum", "maximum")}
    if scale != 1:
        schema = {**schema, "type": "integer"}
    kind = {"type": schema["type"], **{k: _whole(v) for k, v in bounds.items()}}
    default = _whole(float(row.default) * scale) if row.default else None
    return Field(row, row.resource, _with_default(row, kind, default))


def _with_default(row: Row, kind: dict[str, Any], default: object) -> dict[str, Any]:
    shown = {} if default is None else {"default": default}
    return {"description": row.help, **kind, **shown}


def _whole(value: float) -> float:
    return round(value) if value == round(value) else value


FIELDS: Final = tuple(_field(row) for row in rows(Policy))
