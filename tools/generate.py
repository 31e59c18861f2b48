"""``make generate``: writes every file, or part of one, that is derived from declarations.

The settings are declared in Python, as fields; the reference in docs/, the chart's table, values
and schema, the custom resource's schema and the operator's environment in the chart are made from
them here, and `manifests/install` from the chart. A test compares and names this command.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from manifests import render

from tidegate.contract.errors import MissingToolError
from tidegate.contract.proxy import ProxySettings
from tidegate.contract.settings import Annotation, rows
from tidegate.contract.sidecar import SidecarSettings
from tidegate.injection.annotations import ANNOTATIONS, full_key
from tidegate.rollout.resource import FIELDS, Field
from tidegate_injector.settings import InjectorSettings
from tidegate_operator.kube.settings import OperatorSettings
from tools.limits_page import limits_page

ROOT: Final = Path(__file__).resolve().parent.parent
CHART: Final = ROOT / "charts" / "tidegate"
MADE: Final = "made by 'make generate'"
NOT_A_DEFAULT: Final = ("inject", "backplane", "backplane-secret")
"""Keys that a template of the chart refuses with a sentence, which a schema cannot."""

_SETTINGS_PAGE = """\
<!-- {made}; do not edit. -->
# Settings

Every program reads its settings from environment variables at its start. A bad value ends it with a
line that names the variable and what is allowed; an unknown variable is a warning in the log.

A pod sets those of its sidecar by annotations, a cluster by the chart's `sidecar.defaults`.

## The sidecar

{sidecar}
## The proxy

{proxy}
## Annotations of a pod

{annotations}
## The operator

{operator}
## The injector

{injector}
## DrainPolicy

A field of a DrainPolicy; the chart's `operator.defaultPolicy` takes the same fields (a switch as
true or false) for workloads that no DrainPolicy selects.

{policy}"""


def generated() -> dict[Path, str]:
    """Every file that needs no program but this one, as it should be."""
    return {
        ROOT / "docs" / "settings.md": _settings_page(),
        ROOT / "docs" / "limits.md": limits_page(MADE),
        CHART / "README.md": _between(CHART / "README.md", _annotations()),
        CHART / "values.yaml": _between(CHART / "values.yaml", _policy_values()),
        CHART / "values.schema.json": _values_schema(),
        CHART / "files" / "drainpolicies.yaml": _between(
            CHART / "files" / "drainpolicies.yaml", _resource_schema()
        ),
        CHART / "templates" / "_policy.tpl": _policy_template(),
    }


def _between(path: Path, text: str) -> str:
    """The file with `text` between the two marker lines of a generated part."""
    marked = re.compile(rf"({MADE}: begin[^\n]*\n).*?([^\n]*{MADE}: end)", re.DOTALL)
    found, count = marked.subn(lambda m: m[1] + text + m[2], path.read_text())
    if count != 1:
        raise ValueError(f"{path}: there is not one part {MADE}")
    return found


# Documents


def _settings_page() -> str:
    return _SETTINGS_PAGE.format(
        made=MADE,
        sidecar=_variables(SidecarSettings),
        proxy=_variables(ProxySettings),
        annotations=_annotations(),
        operator=_variables(OperatorSettings),
        injector=_variables(InjectorSettings),
        policy=_table(
            ("field", "default", "allowed", "meaning"),
            ((f"`{f.name}`", _default(f), _bounds(f), f.row.help) for f in FIELDS),
        ),
    )


def _variables(settings: type[Any]) -> str:
    return _table(
        ("variable", "default", "allowed", "meaning"),
        (
            (f"`{row.variable}`", _code(row.default), row.kind.allowed, row.help)
            for row in rows(settings)
        ),
    )


def _annotations() -> str:
    return _table(
        ("annotation", "default", "allowed", "meaning"),
        (
            (f"`{full_key(key)}`", _code(a.default), a.kind.allowed, a.help)
            for key, a in ANNOTATIONS.items()
        ),
    )


def _table(head: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> str:
    rule = "|" + "---|" * len(head)
    return (
        "\n".join(["| " + " | ".join(head) + " |", rule, *(f"| {' | '.join(x)} |" for x in lines)])
        + "\n"
    )


def _code(default: str | None) -> str:
    return "must be given" if default is None else f"`{default}`" if default else ""


def _default(field: Field) -> str:
    return f"`{field.schema['default']}`" if "default" in field.schema else ""


def _bounds(field: Field) -> str:
    if field.is_switch:
        return " or ".join(field.schema["enum"])
    return f"{field.schema['type']} from {field.schema['minimum']} to {field.schema['maximum']}"


# The custom resource


def _resource_schema() -> str:
    properties = {field.name: dict(field.schema) for field in FIELDS}
    return textwrap.indent(yaml.safe_dump(properties, sort_keys=False, width=72), " " * 16)


# The chart


def _policy_values() -> str:
    lines = []
    for field in FIELDS:
        lines += textwrap.wrap(
            f"-- {field.row.help}", 92, initial_indent="# ", subsequent_indent="# "
        )
        lines.append(f"{field.name}: {json.dumps(_chart_default(field))}")
    return textwrap.indent("\n".join(lines) + "\n", " " * 4)


def _chart_default(field: Field) -> Any:
    return field.row.default == "on" if field.is_switch else field.schema.get("default")


def _values_schema() -> str:
    path = CHART / "values.schema.json"
    schema = json.loads(path.read_text())
    programs = schema["properties"]
    programs["operator"]["properties"]["defaultPolicy"]["properties"] = {
        field.name: _value_schema(field) for field in FIELDS
    }
    programs["sidecar"]["properties"]["defaults"] = {
        "type": "object",
        "description": "Values of tidegate.dev/ annotations, by key without prefix.",
        "additionalProperties": False,
        "properties": {key: _annotation_schema(a) for key, a in ANNOTATIONS.items()},
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _value_schema(field: Field) -> dict[str, Any]:
    described = {"description": field.row.help}
    if field.is_switch:
        return {"type": "boolean", **described}
    bounds = {bound: field.schema[bound] for bound in ("minimum", "maximum")}
    kind = field.schema["type"]
    return {"type": kind if "default" in field.schema else [kind, "null"], **described, **bounds}


def _annotation_schema(annotation: Annotation) -> dict[str, Any]:
    if annotation.key in NOT_A_DEFAULT:
        return {"description": "Refused with a sentence."}
    return {"description": annotation.help, **_text_schema(annotation.kind.schema)}


def _text_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A value that becomes a text: a number may be written as one, as ``--set`` does with 0.5."""
    if "anyOf" in schema:
        return {"anyOf": [_text_schema(one) for one in schema["anyOf"]]}
    if "enum" in schema:
        return dict(schema)
    if schema["type"] == "string":
        return {**schema, "type": ["string", "number"]}
    digits = "^[0-9]+$" if schema["type"] == "integer" else r"^[0-9]+(\.[0-9]+)?$"
    return {"anyOf": [dict(schema), {"type": "string", "pattern": digits}]}


def _policy_template() -> str:
    """The operator's variables of its default policy, out of the chart's values."""
    lines = []
    for field in FIELDS:
        lines += [f"- name: {field.row.variable}", f"  value: {_template_value(field)}"]
    head = f"{{{{/* The default policy as the operator's environment: {MADE}; do not edit. */}}}}\n"
    body = "\n".join(lines)
    return f'{head}{{{{- define "tidegate.policyEnvironment" -}}}}\n{body}\n{{{{- end -}}}}\n'


def _template_value(field: Field) -> str:
    value = f".{field.name}"
    if field.is_switch:
        return f'{{{{ ternary "on" "off" {value} | quote }}}}'
    if field.scale != 1:
        return f"{{{{ divf {value} {field.scale} | quote }}}}"
    number = f"{value} | int | quote" if field.schema["type"] == "integer" else f"{value} | quote"
    if "default" in field.schema:
        return f"{{{{ {number} }}}}"
    return f'{{{{ if kindIs "invalid" {value} }}}}""{{{{ else }}}}{{{{ {number} }}}}{{{{ end }}}}'


def main() -> int:
    """Write every file; exit status 1 with one line when helm is missing."""
    _write(generated)
    try:
        _write(render.rendered)
    except MissingToolError as error:
        sys.stderr.write(f"generate: manifests/install is as it was: {error}\n")
        return 1
    return 0


def _write(files: Callable[[], Mapping[Path, str]]) -> None:
    for path, text in files().items():
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            sys.stdout.write(f"{path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    sys.exit(main())
