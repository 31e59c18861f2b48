"""The settings that an injector gives to every pod: images, addresses, the cluster's defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import tidegate
from tidegate.contract.kinds import choice, integer, names, or_empty, pattern, texts, url
from tidegate.contract.settings import Problem, setting
from tidegate.injection.annotations import ANNOTATIONS
from tidegate.injection.checks import contradictions


@dataclass(frozen=True, slots=True)
class InjectionSettings:
    """The same for every pod of a cluster.

    `operator_ca_pem` is the CA that sidecars trust at the operator (``None``: the image's own
    roots); it rotates, and is no setting. `version` is written into the status annotation.
    """

    image: str = setting(
        None, pattern(r"\S+", "an image"), "Image of the sidecar.", name="sidecar_image"
    )
    image_pull_policy: str = setting(
        "IfNotPresent",
        choice("Always", "IfNotPresent", "Never"),
        "The sidecar's imagePullPolicy.",
        name="sidecar_pull_policy",
    )
    image_pull_secrets: tuple[str, ...] = setting(
        "",
        names(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", "names of Secrets"),
        "Pull secrets added to injected pods; each namespace must have them.",
        name="sidecar_pull_secrets",
    )
    run_as_user: int | None = setting(
        "65532",
        or_empty(integer(1, 2**31 - 1), "the platform chooses, as OpenShift does"),
        "The sidecar's user and group.",
        name="sidecar_user",
    )
    defaults: Mapping[str, str] = setting(
        "{}",
        texts(),
        "Values of tidegate.dev/ annotations for pods without them, by key without prefix.",
        name="sidecar_defaults",
    )
    operator_url: str | None = setting(
        "", or_empty(url("https", "http"), "nowhere"), "Where injected sidecars report."
    )
    operator_ca_pem: str | None = None
    version: str = tidegate.__version__

    def problems(self) -> Iterator[Problem]:
        """Defaults that no pod could have."""
        for key, value in self.defaults.items():
            if key not in ANNOTATIONS or key == "inject":
                allowed = ", ".join(k for k in ANNOTATIONS if k != "inject")
                yield _default(f"{key} is not a setting; there are {allowed}")
            elif not ANNOTATIONS[key].kind.accepts(value):
                yield _default(f"{key} {ANNOTATIONS[key].kind.refusal(value)}")
        if self.defaults.get("backplane") == "memory":
            yield _default("backplane: memory serves one pod only: set it on that pod")
        if all(
            ANNOTATIONS[k].kind.accepts(v) for k, v in self.defaults.items() if k in ANNOTATIONS
        ):
            yield from map(_default, contradictions(self.defaults))


def _default(text: str) -> Problem:
    return Problem("sidecar_defaults", text)
