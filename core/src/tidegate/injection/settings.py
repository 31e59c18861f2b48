"""What an injector gives to every pod: images, addresses, the cluster's defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tidegate.contract.errors import SettingsError
from tidegate.injection.annotations import TABLE


@dataclass(frozen=True, slots=True)
class InjectionSettings:
    """The same for every pod of a cluster.

    `image` is the sidecar's. `operator_url` is where it reports (``None``: nowhere) and
    `operator_ca_pem` what it trusts there (``None``: the image's own roots). `defaults` are values
    of annotations by key without prefix; a pod's own annotation wins. `run_as_user` ``None``
    leaves the user to the platform (OpenShift). `version` is written into the status annotation.
    Raises `SettingsError` for a default that no pod could have.
    """

    image: str
    version: str
    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    operator_url: str | None = None
    operator_ca_pem: str | None = None
    run_as_user: int | None = 65532
    defaults: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = {annotation.key: annotation for annotation in TABLE}
        for key, value in self.defaults.items():
            if key not in known or key == "inject":
                allowed = ", ".join(k for k in known if k != "inject")
                raise SettingsError(f"defaults.{key}", f"is not a setting; there are {allowed}")
            if not known[key].kind.accepts(value):
                allowed = known[key].kind.allowed
                raise SettingsError(f"defaults.{key}", f"must be {allowed}, not {value!r}")
        if self.defaults.get("backplane") == "memory":
            raise SettingsError(
                "defaults.backplane", "memory serves one pod only: ask for it on that pod"
            )
