"""Settings of the three programs: one declaration each, one reader, errors that name the fix."""

from __future__ import annotations

from typing import Any

import pytest

from tidegate.contract.errors import SettingsError
from tidegate.contract.settings import rows
from tidegate.contract.sidecar import SidecarSettings, env
from tidegate_injector.settings import InjectorSettings
from tidegate_operator.kube.settings import OperatorSettings
from tidegate_process.environ import read, settings_help

PROGRAMS = (SidecarSettings, OperatorSettings, InjectorSettings)
NEEDED = {"TIDEGATE_SIDECAR_IMAGE": "i", "TIDEGATE_CERTIFICATE_NAMES": "operator.svc"}


def needed(program: type[Any]) -> dict[str, str]:
    return {row.variable: NEEDED[row.variable] for row in rows(program) if row.variable in NEEDED}


def sidecar(**environ: str) -> SidecarSettings:
    return read(SidecarSettings, {f"TIDEGATE_{k}": v for k, v in environ.items()})[0]


def refusal(program: type[Any] = SidecarSettings, **environ: str) -> str:
    given = {**needed(program), **{f"TIDEGATE_{k}": v for k, v in environ.items()}}
    with pytest.raises(SettingsError) as caught:
        read(program, given)
    return str(caught.value)


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_setting_has_a_name_of_its_own_and_a_default_that_is_allowed(
    program: type[Any],
) -> None:
    names = [name for row in rows(program) for name in (row.name, *row.was)]
    assert len(set(names)) == len(names)
    for row in rows(program):
        assert row.default is None or row.kind.accepts(row.default)
        assert row.help.endswith(".")


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_help_lists_every_setting(program: type[Any]) -> None:
    shown = settings_help(program)
    for row in rows(program):
        assert row.variable in shown
        assert row.help in shown
        assert row.kind.allowed in shown


def test_without_an_environment_the_declared_defaults_hold() -> None:
    settings, warnings = read(SidecarSettings, {}, pod_name="host-1", pod_uid="host-1")
    assert warnings == ()
    assert (settings.identity.pod_name, settings.identity.pod_uid) == ("host-1", "host-1")
    assert (settings.drain, settings.streams) == (
        SidecarSettings().drain,
        SidecarSettings().streams,
    )
    assert settings.limits == SidecarSettings().limits


@pytest.mark.parametrize("row", rows(SidecarSettings), ids=lambda row: row.name)
def test_what_is_set_is_what_is_read(row: Any) -> None:
    samples: tuple[str, ...] = ("7", "300", "1048576", "off", "/a/file", "web-1")
    samples += ("https://shop.example", "http://o:1", "nats://n:4222", "cut", "debug", "jwt", "on")
    text = next(text for text in samples if text != row.default and row.kind.accepts(text))
    text = "1048576" if row.name == "ring_bytes" else text
    beside = {env("auth_keys"): "/keys", env("auth_audience"): "feed"} if row.name == "auth" else {}
    before = read(SidecarSettings, beside)[0]
    assert before != read(SidecarSettings, {**beside, row.variable: text})[0]


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("PUBLIC_PORT", "65536"),
        ("PUBLIC_PORT", "http"),
        ("GRACE_S", "nan"),
        ("GRACE_S", "-1"),
        ("HEARTBEAT_S", "0"),
        ("DRAIN", "Even"),
        ("REPLAY", "yes"),
        ("BACKPLANE", "redis://x:1"),
        ("BACKPLANE", "nats://"),
        ("BACKPLANE_STREAM", "a.b"),
        ("OPERATOR_URL", "operator:9443"),
        ("OPERATOR_TOKEN_FILE", "token"),
        ("RING_EVENTS", "1e4"),
        ("POD_TOKEN", "two words"),
        ("CORS_ORIGINS", "https://shop.example/"),
        ("CORS_ORIGINS", "https://shop.example https://desk.example"),
    ],
)
def test_a_bad_value_names_the_variable_and_what_is_allowed(name: str, bad: str) -> None:
    (row,) = [row for row in rows(SidecarSettings) if row.variable == f"TIDEGATE_{name}"]
    assert refusal(SidecarSettings, **{name: bad}).startswith(
        f"{row.variable}: must be {row.kind.allowed}"
    )


def test_all_bad_values_are_reported_at_once() -> None:
    lines = refusal(GRACE_S="x", RING_EVENTS="0", DRAIN="slow").splitlines()
    named = {line.partition(":")[0] for line in lines}
    assert named == {env("grace_s"), env("ring_events"), env("drain")}


@pytest.mark.parametrize(
    ("program", "name", "bad"),
    [
        (SidecarSettings, "POD_TOKEN", "s3 cret"),
        (SidecarSettings, "BACKPLANE", "nat://user:s3cret@x:1"),
        (SidecarSettings, "BACKPLANE", "nats:user:s3cret"),
        (SidecarSettings, "OPERATOR_URL", "ftp://user:s3cret@x:1"),
        (OperatorSettings, "LEASE_NAME", "https://user:s3cret@x"),
        (InjectorSettings, "SIDECAR_DEFAULTS", '{"backplane": "nats:user:s3cret"}'),
        (InjectorSettings, "SIDECAR_DEFAULTS", '{"backplane": "nats://user:s3cret@n"'),
        (InjectorSettings, "OPERATOR_URL", "operator:user:s3cret@x"),
    ],
)
def test_no_error_shows_a_secret(program: type[Any], name: str, bad: str) -> None:
    assert "cret" not in refusal(program, **{name: bad})


def test_no_repr_shows_a_secret() -> None:
    shown = repr(sidecar(POD_TOKEN="s3cret", BACKPLANE="nats://user:s3cret@n:1"))
    assert "s3cret" not in shown
    given = {**NEEDED, "TIDEGATE_SIDECAR_DEFAULTS": '{"backplane": "nats://u:s3cret@n:1"}'}
    assert "s3cret" not in repr(read(InjectorSettings, given)[0])


@pytest.mark.parametrize(
    ("program", "environ", "line"),
    [
        (
            SidecarSettings,
            {"GRACE_S": "5", "RESERVE_S": "5"},
            "TIDEGATE_RESERVE_S: must be less than TIDEGATE_GRACE_S, which is 5",
        ),
        (
            SidecarSettings,
            {"PUBLIC_PORT": "9000", "ADMIN_PORT": "9000"},
            "TIDEGATE_ADMIN_PORT: must differ from TIDEGATE_PUBLIC_PORT, both are 9000",
        ),
        (
            SidecarSettings,
            {"DRAIN": "cut", "PRESTOP_SLEEP_S": "30"},
            "TIDEGATE_PRESTOP_SLEEP_S: must be less than TIDEGATE_GRACE_S, which is 30",
        ),
        (
            SidecarSettings,
            {"RING_BYTES": "4096"},
            "TIDEGATE_RING_BYTES: must be at least TIDEGATE_MAX_EVENT_BYTES, which is 262144",
        ),
        (
            SidecarSettings,
            {"RING_EVENTS": "50", "BACKPLANE": "nats://n:4222"},
            "TIDEGATE_RING_EVENTS: must be at least 256, which are read from the backplane at once",
        ),
        (
            OperatorSettings,
            {"REPORT_PORT": "8081"},
            "TIDEGATE_HEALTH_PORT: must differ from TIDEGATE_REPORT_PORT, both are 8081",
        ),
        (
            OperatorSettings,
            {"CERTIFICATE_NAMES": ""},
            "TIDEGATE_CERTIFICATE_NAMES: is needed to make a certificate, or "
            "TIDEGATE_CERTIFICATES must be files",
        ),
        (
            OperatorSettings,
            {"WINDOW_S": "10", "RESERVE_S": "10"},
            "TIDEGATE_RESERVE_S: must be less than TIDEGATE_WINDOW_S",
        ),
        (
            InjectorSettings,
            {"WEBHOOK_PORT": "8081"},
            "TIDEGATE_HEALTH_PORT: must differ from TIDEGATE_WEBHOOK_PORT, both are 8081",
        ),
        (
            InjectorSettings,
            {"SIDECAR_DEFAULTS": '{"backplane": "memory"}'},
            "TIDEGATE_SIDECAR_DEFAULTS: backplane: memory serves one pod only: set it on that pod",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    program: type[Any], environ: dict[str, str], line: str
) -> None:
    assert refusal(program, **environ) == line


def test_several_free_ports_and_several_brokers_are_fine() -> None:
    sidecar(PUBLIC_PORT="0", ADMIN_PORT="0", PUBLISH_PORT="0")
    assert sidecar(BACKPLANE="nats://a:1,nats://b:2").backplane.url == "nats://a:1,nats://b:2"


def test_origins_are_a_list_and_by_default_there_are_none() -> None:
    assert sidecar().streams.cors_origins == ()
    listed = sidecar(CORS_ORIGINS="https://shop.example, http://localhost:3000").streams
    assert listed.cors_origins == ("https://shop.example", "http://localhost:3000")


@pytest.mark.parametrize(
    ("program", "unknown", "nearest"),
    [
        (SidecarSettings, "HEARTBEET_S", "HEARTBEAT_S"),
        (SidecarSettings, "PUBLC_PORT", "PUBLIC_PORT"),
        (OperatorSettings, "HELTH_PORT", "HEALTH_PORT"),
        (InjectorSettings, "WEBHOK_PORT", "WEBHOOK_PORT"),
    ],
)
def test_an_unknown_variable_is_a_warning_with_the_nearest_name(
    program: type[Any], unknown: str, nearest: str
) -> None:
    _, warnings = read(program, {**needed(program), f"TIDEGATE_{unknown}": "9000"})
    text = f"TIDEGATE_{unknown} is not a setting; did you mean TIDEGATE_{nearest}?"
    assert warnings == (text,)


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("service", ["TIDEGATE", "TIDEGATE_INJECTOR", "TIDEGATE_HEALTH"])
def test_the_variables_of_a_service_are_no_settings(program: type[Any], service: str) -> None:
    """As the kubelet sets them for the Services ``tidegate``, ``tidegate-injector`` …"""
    links = {
        f"{service}_SERVICE_HOST": "10.0.0.1",
        f"{service}_SERVICE_PORT": "443",
        f"{service}_SERVICE_PORT_HTTPS": "443",
        f"{service}_PORT": "tcp://10.0.0.1:443",
        f"{service}_PORT_443_TCP": "tcp://10.0.0.1:443",
        f"{service}_PORT_443_TCP_PROTO": "tcp",
        f"{service}_PORT_443_TCP_PORT": "443",
        f"{service}_PORT_443_TCP_ADDR": "10.0.0.1",
    }
    assert read(program, {**needed(program), **links})[1] == ()


def test_a_former_name_is_still_read_and_the_new_one_wins() -> None:
    former, current = "TIDEGATE_HANDSHAKE_TIMEOUT_S", "TIDEGATE_HEADER_TIMEOUT_S"
    settings, warnings = read(SidecarSettings, {former: "3"})
    assert settings.streams.header_timeout_s == 3
    assert warnings == (f"{former} is called {current} now; the old name is still read",)
    settings, _ = read(SidecarSettings, {former: "3", current: "4"})
    assert settings.streams.header_timeout_s == 4
