"""The settings: one table, good defaults, errors that name the variable and what is allowed."""

import pytest
from tidegate_sidecar.settings import read_settings
from tidegate_sidecar.settings_table import TABLE

from tidegate.contract import env
from tidegate.contract.errors import SettingsError
from tidegate_sidecar.command import COMMAND, settings_help
from tidegate_sidecar.process import engine_settings

NAMES = {value for name, value in vars(env).items() if name.isupper() and name != "PREFIX"}


def read(**environ):
    return read_settings({f"TIDEGATE_{k}": v for k, v in environ.items()}, "host-1")


def test_every_name_of_the_contract_is_in_the_table_once():
    listed = [setting.name for setting in TABLE]
    assert len(set(listed)) == len(listed)
    assert set(listed) == NAMES


def test_the_defaults_are_allowed_and_as_the_design_says():
    settings = read()
    drain, streams = settings.drain, settings.streams
    assert (drain.mode, drain.grace_s, drain.reserve_s, drain.linger_s) == ("even", 30, 5, 5)
    assert (streams.heartbeat_s, streams.retry_base_ms, streams.spread_max_ms) == (15, 1000, 10000)
    assert (streams.ring_events, streams.ring_bytes) == (10_000, 64 * 2**20)
    assert settings.listening.publish_host == "127.0.0.1"
    assert settings.identity.pod_name == settings.identity.pod_uid == "host-1"
    assert settings.backplane == "memory"
    assert not drain.operator
    assert settings.warnings == ()


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
def test_a_bad_value_names_the_variable_and_what_is_allowed(name, bad):
    with pytest.raises(SettingsError) as caught:
        read(**{name: bad})
    setting = next(s for s in TABLE if s.name == f"TIDEGATE_{name}")
    assert caught.value.name == setting.name
    assert setting.kind.allowed in str(caught.value)


def test_secrets_are_not_shown():
    for name, bad in (("POD_TOKEN", "s3 cret"), ("BACKPLANE", "nat://user:s3cret@x:1")):
        with pytest.raises(SettingsError) as caught:
            read(**{name: bad})
        assert "cret" not in str(caught.value)
    assert "s3cret" not in repr(read(POD_TOKEN="s3cret"))


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"GRACE_S": "5", "RESERVE_S": "5"}, "TIDEGATE_RESERVE_S"),
        ({"PUBLIC_PORT": "9000", "ADMIN_PORT": "9000"}, "TIDEGATE_PUBLIC_PORT"),
    ],
)
def test_values_that_cannot_be_true_together_are_refused(environ, name):
    with pytest.raises(SettingsError) as caught:
        read(**environ)
    assert caught.value.name == name


def test_several_free_ports_and_several_brokers_are_fine():
    read(PUBLIC_PORT="0", ADMIN_PORT="0", PUBLISH_PORT="0")
    assert read(BACKPLANE="nats://a:1,nats://b:2").backplane == "nats://a:1,nats://b:2"


def test_origins_are_a_list_and_by_default_there_are_none():
    assert read().streams.cors_origins == ()
    told = engine_settings(read(CORS_ORIGINS="https://shop.example, http://localhost:3000"))
    assert told.cors_origins == ("https://shop.example", "http://localhost:3000")


def test_unknown_variables_are_warned_of_and_service_links_are_not():
    settings = read(
        HEARTBEET_S="3",
        SERVICE_HOST="10.0.0.1",
        PORT="tcp://10.0.0.1:80",
        PORT_80_TCP_ADDR="10.0.0.1",
        INJECTOR_SERVICE_PORT_HTTPS="443",
    )
    assert settings.warnings == (
        "TIDEGATE_HEARTBEET_S is not a setting; did you mean TIDEGATE_HEARTBEAT_S?",
    )


def test_the_help_lists_every_setting():
    assert COMMAND.epilog == settings_help()
    for setting in TABLE:
        assert setting.name in settings_help()
        assert setting.help in settings_help()


def test_the_engine_is_told_what_was_set():
    told = engine_settings(read(RETRY="off", HEARTBEAT_S="20", MAX_STREAMS="7", REPLAY="off"))
    assert (told.assign_retry, told.heartbeat_s, told.max_streams, told.replay) == (
        False, 20, 7, False,
    )  # fmt: skip
