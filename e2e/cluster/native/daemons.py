"""Starting the cluster's programs, each with its flags."""

from __future__ import annotations

from pathlib import Path

from e2e.cluster.native.binaries import Binaries
from e2e.cluster.native.files import (
    write_containerd,
    write_corefile,
    write_kube_proxy,
    write_kubeconfig,
    write_kubelet,
)
from e2e.cluster.native.layout import (
    API_PORT,
    OUTER_IP,
    POD_CIDR,
    SERVICE_CIDR,
    Layout,
    node_ip,
    node_name,
)
from e2e.cluster.native.pki import KUBELET_CLIENT
from e2e.cluster.native.processes import start

ETCD_URL = "http://127.0.0.1:2379"
_ISSUER = "https://kubernetes.default.svc"


def start_etcd(layout: Layout, binaries: Binaries) -> None:
    """One member; nothing is synced to disk, because no run outlives its machine."""
    argv: list[str | Path] = [
        binaries.etcd,
        f"--data-dir={layout.state / 'etcd'}",
        f"--listen-client-urls={ETCD_URL}",
        f"--advertise-client-urls={ETCD_URL}",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]
    start(layout, 1, "etcd", argv)


def start_apiserver(layout: Layout, binaries: Binaries) -> None:
    """`aggregator-routing`: webhooks are called at their pods, no kube-proxy in between."""
    pki = layout.pki
    argv: list[str | Path] = [
        binaries.kube,
        "kube-apiserver",
        f"--etcd-servers={ETCD_URL}",
        f"--secure-port={API_PORT}",
        "--bind-address=0.0.0.0",
        f"--advertise-address={OUTER_IP}",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--client-ca-file={pki}/ca.crt",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        f"--service-account-issuer={_ISSUER}",
        f"--service-account-key-file={pki}/service-accounts.pub",
        f"--service-account-signing-key-file={pki}/service-accounts.key",
        f"--kubelet-client-certificate={pki}/{KUBELET_CLIENT}.crt",
        f"--kubelet-client-key={pki}/{KUBELET_CLIENT}.key",
        f"--kubelet-certificate-authority={pki}/ca.crt",
        "--kubelet-preferred-address-types=InternalIP,Hostname",
        "--enable-aggregator-routing=true",
        "--profiling=false",
    ]
    start(layout, 1, "kube-apiserver", argv)


def start_controllers(layout: Layout, binaries: Binaries) -> None:
    """Controller manager, scheduler and DNS; the API server must be ready.

    Started earlier, the controller manager meets an API server without its roles and exits.
    """
    pki = layout.pki
    _start_client(
        layout,
        binaries,
        "kube-controller-manager",
        f"--service-account-private-key-file={pki}/service-accounts.key",
        f"--root-ca-file={pki}/ca.crt",
        "--use-service-account-credentials",
        f"--cluster-cidr={POD_CIDR}",
        "--allocate-node-cidrs=false",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        f"--cluster-signing-cert-file={pki}/ca.crt",
        f"--cluster-signing-key-file={pki}/ca.key",
        "--node-monitor-grace-period=20s",
    )
    _start_client(layout, binaries, "kube-scheduler")
    dns: list[str | Path] = [binaries.coredns, "-conf", write_corefile(layout)]
    start(layout, 1, "coredns", dns)


def _start_client(layout: Layout, binaries: Binaries, name: str, *flags: str) -> None:
    kubeconfig = write_kubeconfig(layout, name)
    argv: list[str | Path] = [
        binaries.kube,
        name,
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        *flags,
    ]
    start(layout, 1, name, argv)


def start_containerd(layout: Layout, node: int, cni_plugins: Path) -> None:
    """The container runtime of a node."""
    config = write_containerd(layout.node(node), node, cni_plugins)
    argv: list[str | Path] = ["containerd", "--config", config]
    start(layout, node, f"containerd-{node}", argv)


def start_node(layout: Layout, binaries: Binaries, node: int) -> None:
    """A node's kubelet and kube-proxy; its containerd must be running."""
    kubelet: list[str | Path] = [
        binaries.kube,
        "kubelet",
        f"--config={write_kubelet(layout, node)}",
        f"--kubeconfig={write_kubeconfig(layout, node_name(node))}",
        f"--hostname-override={node_name(node)}",
        f"--node-ip={node_ip(node)}",
        "--root-dir=/var/lib/kubelet",
        "--cert-dir=/var/lib/kubelet/pki",
    ]
    start(layout, node, f"kubelet-{node}", kubelet)
    proxy: list[str | Path] = [
        binaries.kube,
        "kube-proxy",
        f"--config={write_kube_proxy(layout, node)}",
    ]
    start(layout, node, f"kube-proxy-{node}", proxy)
