"""The API server drops a field that it does not know, so a misspelt one would be missed by nobody.

The shapes below are the part of Kubernetes' core/v1 that an injection uses: a container's fields,
their types and the values that are allowed, from the API reference.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import validate
from kit.pod_corpus import SETTINGS, files, load, patched, sidecar_of, small_pod

from tidegate.injection.sidecar import LIVENESS_FAILURES, LIVENESS_PERIOD_S, STARTUP_LIMIT_S

TEXT: dict[str, Any] = {"type": "string"}
WHOLE: dict[str, Any] = {"type": "integer"}
FLAG: dict[str, Any] = {"type": "boolean"}


def one_of(*values: str) -> dict[str, Any]:
    return {"enum": [*values]}


def many(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


def fields(optional: tuple[str, ...] = (), /, **known: dict[str, Any]) -> dict[str, Any]:
    """An object with these fields and no other."""
    required = [name for name in known if name not in optional]
    return {
        "type": "object",
        "properties": known,
        "required": required,
        "additionalProperties": False,
    }


HTTP_GET = fields(
    ("httpHeaders",),
    path=TEXT,
    port=WHOLE,
    scheme=one_of("HTTP"),
    httpHeaders=many(fields(name=TEXT, value=TEXT)),
)
PROBE = fields(httpGet=HTTP_GET, periodSeconds=WHOLE, timeoutSeconds=WHOLE, failureThreshold=WHOLE)
AMOUNTS = fields(("cpu", "memory"), cpu=TEXT, memory=TEXT)
SOURCE = fields(
    ("fieldRef", "secretKeyRef"),
    fieldRef=fields(fieldPath=TEXT),
    secretKeyRef=fields(name=TEXT, key=TEXT),
)
CONTAINER = fields(
    name=TEXT,
    image=TEXT,
    imagePullPolicy=one_of("Always", "IfNotPresent", "Never"),
    restartPolicy=one_of("Always"),
    ports=many(fields(name=TEXT, containerPort=WHOLE, protocol=one_of("TCP"))),
    env=many(fields(("value", "valueFrom"), name=TEXT, value=TEXT, valueFrom=SOURCE)),
    resources=fields(requests=AMOUNTS, limits=AMOUNTS),
    securityContext=fields(
        allowPrivilegeEscalation=FLAG,
        capabilities=fields(drop=many(TEXT)),
        privileged={"const": False},
        readOnlyRootFilesystem=FLAG,
        runAsNonRoot=FLAG,
        seccompProfile=fields(type=one_of("RuntimeDefault")),
        runAsUser=WHOLE,
        runAsGroup=WHOLE,
    ),
    startupProbe=PROBE,
    readinessProbe=PROBE,
    livenessProbe=PROBE,
    lifecycle=fields(preStop=fields(httpGet=HTTP_GET)),
    terminationMessagePolicy=one_of("File", "FallbackToLogsOnError"),
    volumeMounts=many(fields(name=TEXT, mountPath=TEXT, readOnly={"const": True})),
)
VOLUME = fields(
    name=TEXT,
    projected=fields(
        sources=many(
            fields(
                ("serviceAccountToken", "downwardAPI"),
                serviceAccountToken=fields(path=TEXT, audience=TEXT, expirationSeconds=WHOLE),
                downwardAPI=fields(items=many(fields(path=TEXT, fieldRef=fields(fieldPath=TEXT)))),
            )
        )
    ),
)


@pytest.mark.parametrize("path", files("allowed"), ids=lambda path: path.stem)
def test_every_field_of_the_sidecar_and_its_volume_is_one_of_kubernetes(path: Path) -> None:
    pod = patched(load(path))
    sidecar, volume = sidecar_of(pod), pod["spec"]["volumes"][-1]
    validate(sidecar, CONTAINER)
    validate(volume, VOLUME)
    assert sidecar["volumeMounts"][0]["name"] == volume["name"]
    assert sidecar["securityContext"]["runAsUser"] == SETTINGS.run_as_user
    assert sidecar["securityContext"]["runAsGroup"] == SETTINGS.run_as_user


def test_a_busy_sidecar_gets_a_minute_and_an_unready_one_a_few_seconds() -> None:
    sidecar = sidecar_of(patched(small_pod()))

    def patience(probe: str) -> tuple[int, int, int]:
        found = sidecar[probe]
        return found["periodSeconds"], found["timeoutSeconds"], found["failureThreshold"]

    for probe in ("readinessProbe", "livenessProbe"):
        period_s, timeout_s, _ = patience(probe)
        assert timeout_s <= period_s
    start_s, loaded_s, starts = patience("startupProbe")
    assert (start_s, starts) == (1, STARTUP_LIMIT_S), "the application waits for it"
    assert loaded_s >= 5, "it waits in the port's queue while the program loads"
    ready_s, _, failures = patience("readinessProbe")
    assert 2 <= failures <= 3
    assert ready_s * failures <= 6
    live_s, answer_s, failures = patience("livenessProbe")
    assert (live_s, failures) == (LIVENESS_PERIOD_S, LIVENESS_FAILURES)
    assert live_s * failures >= 60
    assert answer_s >= 5


def test_a_pull_secret_that_the_pod_has_is_not_added_again() -> None:
    pod = small_pod()
    pod["spec"]["imagePullSecrets"] = [{"name": "mirror"}]
    assert patched(pod)["spec"]["imagePullSecrets"] == [{"name": "mirror"}]


def test_a_pod_without_any_name_shares_the_log_of_the_others() -> None:
    pod = small_pod()
    del pod["metadata"]["name"]
    variables = {v["name"]: v.get("value") for v in sidecar_of(patched(pod))["env"]}
    assert variables["TIDEGATE_BACKPLANE_STREAM"] == "shop_pod"
