"""Settings of the operator in a cluster, and the probes, gates and readmission around it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from jsonschema import Draft202012Validator
from operator_kube.fake_api import FakeApi
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from tidegate.contract.errors import DocumentError, SettingsError, TidegateError
from tidegate.contract.kube import API_GROUP, API_VERSION, KIND_DRAIN_POLICY, PLURAL_DRAIN_POLICY
from tidegate.rollout.resource import policy_of
from tidegate.rollout.snapshot import Policy
from tidegate_kubernetes.api import Access, ApiError
from tidegate_kubernetes.kinds import PODS
from tidegate_operator.__main__ import main
from tidegate_operator.kube.listeners import Condition, health_app, leader_only
from tidegate_operator.kube.readmit import readmit_all
from tidegate_operator.kube.settings import OperatorSettings
from tidegate_operator.meters import Meters
from tidegate_process.environ import read

GIVEN = {"TIDEGATE_CERTIFICATE_NAMES": "tidegate-operator.tidegate.svc"}
CRD = Path(__file__).parents[2] / "charts/tidegate/files/drainpolicies.yaml"


def test_defaults_are_the_planners() -> None:
    settings, warnings = read(OperatorSettings, GIVEN, pod_namespace="tidegate")
    assert settings.policy == Policy()
    assert (settings.place.namespace, settings.place.watched) == ("tidegate", ())
    assert settings.listening.report_port == 9443
    assert warnings == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TIDEGATE_BUDGET_PER_S", "0"),
        ("TIDEGATE_BUDGET_PER_S", "nan"),
        ("TIDEGATE_REPORT_PORT", "https"),
        ("TIDEGATE_STEERING", "yes"),
        ("TIDEGATE_WATCH_NAMESPACES", "a,B!"),
        ("TIDEGATE_CERTIFICATE_DIR", "relative"),
        ("TIDEGATE_CERTIFICATE_NAMES", ""),
    ],
)
def test_a_bad_value_is_one_line_that_names_it(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: "):
        read(OperatorSettings, {**GIVEN, name: value})


def test_a_misspelt_variable_is_a_warning_but_a_service_link_is_not() -> None:
    environ = {**GIVEN, "TIDEGATE_BUDGET": "5", "TIDEGATE_OPERATOR_SERVICE_HOST": "10.0.0.1"}
    _, warnings = read(OperatorSettings, environ)
    assert warnings == ("TIDEGATE_BUDGET is not a setting; did you mean TIDEGATE_BUDGET_PER_S?",)


def test_the_command_says_in_one_line_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIDEGATE_BUDGET_PER_S", "much")
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("tidegate operator: TIDEGATE_BUDGET_PER_S: ")


def spec_schema() -> dict[str, Any]:
    crd = yaml.safe_load(CRD.read_text())
    names, version = crd["spec"]["names"], crd["spec"]["versions"][0]
    assert (crd["spec"]["group"], version["name"]) == (API_GROUP, API_VERSION)
    assert (names["kind"], names["plural"]) == (KIND_DRAIN_POLICY, PLURAL_DRAIN_POLICY)
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return schema


def test_the_crds_defaults_are_the_planners() -> None:
    schema = spec_schema()
    Draft202012Validator.check_schema(schema)
    defaults = {k: v["default"] for k, v in schema["properties"].items() if "default" in v}
    assert policy_of(defaults, Policy(budget_per_s=1, steering=False)) == Policy()


def test_every_field_of_the_crd_is_read_and_wrong_ones_are_named() -> None:
    for field, schema in spec_schema()["properties"].items():
        if field == "selector":
            continue
        with pytest.raises(DocumentError, match=f"spec.{field}"):
            policy_of({field: -1 if schema["type"] != "string" else "Sometimes"}, Policy())


async def asked(app: ASGIApp, path: str) -> httpx2.Response:
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://operator") as client:
        return await client.get(path)


async def test_probes_tell_leading_from_being_able_to_lead() -> None:
    problem: list[str] = []
    condition = Condition(lambda: problem[0] if problem else None, lambda: False, lambda: True)
    app = health_app(condition, Meters())
    codes = {p: (await asked(app, p)).status_code for p in ("/livez", "/readyz", "/syncedz")}
    assert codes == {"/livez": 200, "/readyz": 503, "/syncedz": 200}
    problem.append("no word from a watch")
    assert (await asked(app, "/livez")).status_code == 503
    assert "tidegate_operator_reports" in (await asked(app, "/metrics")).text


async def test_a_standby_refuses_and_ends_the_connection() -> None:
    async def hello(_: object) -> PlainTextResponse:
        return PlainTextResponse("hello")

    leads = False
    app = leader_only(Starlette(routes=[Route("/v1/report", hello)]), lambda: leads)
    refused = await asked(app, "/v1/report")
    assert (refused.status_code, refused.headers["connection"]) == (503, "close")
    leads = True
    assert (await asked(app, "/v1/report")).text == "hello"


async def test_readmission_gives_up_on_no_pod_but_says_what_it_could_not_open() -> None:
    api = FakeApi()
    meta = {"namespace": "a", "name": "p", "uid": "1", "labels": {}}
    api.objects[PODS.path()] = {"items": [{"metadata": meta}], "metadata": {}}
    api.objects[f"{PODS.path('a')}/p"] = {"metadata": meta}

    def refuse(method: str, path: str) -> None:
        if method == "PATCH":
            raise ApiError(403, "forbidden")

    api.refuse = refuse
    assert await readmit_all(api, (), pause_s=0.0) == 1


def test_a_kubeconfig_that_is_not_there_is_a_setting(tmp_path: Any) -> None:
    with pytest.raises(TidegateError, match="KUBECONFIG"):
        Access.from_environ({"KUBECONFIG": str(tmp_path / "none")})
