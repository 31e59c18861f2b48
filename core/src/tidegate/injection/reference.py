"""The table of annotations as people read it; the chart's README holds it word for word."""

from __future__ import annotations

from tidegate.injection.annotations import TABLE


def annotations_reference() -> str:
    """The annotations as a Markdown table: key, default, what is allowed, what it means."""
    lines = ["| annotation | default | allowed | meaning |", "|---|---|---|---|"]
    for annotation in TABLE:
        default = f"`{annotation.default}`" if annotation.default else ""
        row = (f"`{annotation.full_key}`", default, annotation.kind.allowed, annotation.help)
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"
