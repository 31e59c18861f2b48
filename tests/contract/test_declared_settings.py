"""Settings declared as fields: their rows, and a class made of texts or the problems with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tidegate.contract import kinds
from tidegate.contract.settings import (
    Problem,
    Row,
    duplicates,
    group,
    groups,
    parse,
    rows,
    setting,
    variable,
)
from tidegate.contract.sidecar import SidecarSettings, env


def declare() -> tuple[type[Any], type[Any]]:
    """A program's settings and their group, made inside a test as `bench.mutants` can reach it."""

    @dataclass(frozen=True, slots=True)
    class Ports:
        public: int = setting("8080", kinds.integer(0, 65535), "The streams.", name="public_port")
        admin: int = setting(
            "9090",
            kinds.integer(0, 65535),
            "The probes.",
            name="admin_port",
            annotation={"kind": kinds.integer(1024, 65535), "default": ""},
        )

        def problems(self) -> Iterator[Problem]:
            return duplicates(public_port=self.public, admin_port=self.admin)

    @dataclass(frozen=True, slots=True)
    class Program:
        image: str = setting(None, kinds.pattern("[a-z]+", "letters"), "The image.")
        ports: Ports = group(Ports)
        grace_s: float = setting(
            "30",
            kinds.number(1, 60),
            "Grace.",
            annotation=True,
            was=("patience_s",),
            resource="graceSeconds",
        )
        token: str = setting("s3cret", kinds.secret(kinds.pattern(".*", "text")), "The token.")

        def problems(self) -> Iterator[Problem]:
            if self.grace_s == 13:
                yield Problem("grace_s", "must differ from {} and {}", ("image", "token"))

    return Program, Ports


def row(name: str) -> Row:
    return next(row for row in rows(declare()[0]) if row.name == name)


def refused(**texts: str) -> tuple[Problem, ...]:
    made, problems = parse(declare()[0], {"image": "web", **texts})
    assert made is None
    return problems


def test_rows_come_in_the_order_of_declaration_with_groups_in_place() -> None:
    program, ports = declare()
    names = [row.name for row in rows(program)]
    assert names == ["image", "public_port", "admin_port", "grace_s", "token"]
    assert groups(program) == (program, ports)


def test_a_row_has_what_was_declared() -> None:
    grace = row("grace_s")
    assert (grace.default, grace.help, grace.was) == ("30", "Grace.", ("patience_s",))
    assert (grace.variable, grace.resource) == ("TIDEGATE_GRACE_S", "graceSeconds")
    assert row("image").default is None
    assert row("image").annotation is None
    assert variable("public_port") == "TIDEGATE_PUBLIC_PORT"


def test_an_annotation_is_the_setting_where_it_does_not_differ() -> None:
    same, own = row("grace_s").annotation, row("admin_port").annotation
    assert same is not None
    assert own is not None
    assert (same.key, same.default, same.help) == ("grace-s", "30", "Grace.")
    assert (own.key, own.default, own.help) == ("admin-port", "", "The probes.")
    assert row("admin_port").kind.accepts("80")
    assert not own.kind.accepts("80")


def test_texts_become_settings_and_what_is_absent_its_default() -> None:
    program, ports = declare()
    made, problems = parse(program, {"image": " web ", "grace_s": " 12.5\n", "public_port": "0"})
    assert problems == ()
    assert made is not None
    assert (made.image, made.grace_s, made.ports) == ("web", 12.5, ports(public=0))
    assert made.ports.admin == 9090


def test_every_unusable_text_is_a_problem_and_a_missing_one_too() -> None:
    made, problems = parse(declare()[0], {"grace_s": "61", "admin_port": "x"})
    assert made is None
    assert [problem.name for problem in problems] == ["image", "admin_port", "grace_s"]
    assert [problem.text for problem in problems] == [
        "must be letters",
        "must be a whole number from 0 to 65535, not 'x'",
        "must be a number from 1 to 60, not '61'",
    ]


def test_settings_that_contradict_each_other_are_problems_in_groups_and_in_the_whole() -> None:
    found = refused(public_port="9090", grace_s="13")
    assert [problem.worded(variable) for problem in found] == [
        (
            "TIDEGATE_ADMIN_PORT",
            "must differ from TIDEGATE_PUBLIC_PORT, both are 9090",
        ),
        ("TIDEGATE_GRACE_S", "must differ from TIDEGATE_IMAGE and TIDEGATE_TOKEN"),
    ]


def test_contradictions_are_looked_for_only_where_each_value_is_usable() -> None:
    assert [problem.name for problem in refused(public_port="9090", grace_s="0")] == ["grace_s"]


def test_a_problem_of_one_setting_keeps_its_braces() -> None:
    assert Problem("name", "must be {a}").worded(str.upper) == ("NAME", "must be {a}")


def test_any_free_port_is_no_duplicate_and_each_later_port_is_named_once() -> None:
    assert [*duplicates(a=0, b=0, c=1)] == []
    found = [*duplicates(a=5, b=5, c=6, d=5)]
    assert [(problem.name, problem.others) for problem in found] == [("b", ("a",)), ("d", ("a",))]


def test_a_default_that_its_kind_refuses_is_not_declared() -> None:
    with pytest.raises(ValueError, match="not allowed"):
        setting("61", kinds.number(1, 60), "Grace.")


def test_a_secret_is_in_no_repr() -> None:
    made = declare()[0](image="web")
    assert made.token == "s3cret"
    assert "s3cret" not in repr(made)
    assert "web" in repr(made)


def problems_of(**texts: str) -> list[str]:
    _, problems = parse(SidecarSettings, texts)
    return [problem.name for problem in problems]


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        ({"grace_s": "30", "reserve_s": "29.9"}, []),
        ({"grace_s": "30", "reserve_s": "30"}, ["reserve_s"]),
        ({"drain": "cut", "prestop_sleep_s": "29.9"}, []),
        ({"drain": "cut", "prestop_sleep_s": "30"}, ["prestop_sleep_s"]),
        ({"drain": "even", "prestop_sleep_s": "30"}, []),
        ({"ring_bytes": "8192", "max_event_bytes": "8192"}, []),
        ({"ring_bytes": "8192", "max_event_bytes": "8193"}, ["ring_bytes"]),
        ({"ring_events": "255"}, []),
        ({"ring_events": "255", "backplane": "nats://n"}, ["ring_events"]),
        ({"ring_events": "256", "backplane": "nats://n"}, []),
    ],
)
def test_the_sidecar_refuses_what_cannot_work_together(
    texts: dict[str, Any], names: list[str]
) -> None:
    assert problems_of(**texts) == names


def test_a_variable_is_found_by_the_name_of_its_setting() -> None:
    assert env("grace_s") == "TIDEGATE_GRACE_S"
    with pytest.raises(KeyError):
        env("patience_s")
