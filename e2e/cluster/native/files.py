"""The files that the cluster's programs read: kubeconfigs, and the configuration of a node.

All are JSON where the program reads YAML, which is a superset, so no YAML writer is needed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from e2e.cluster.native.layout import (
    API_PORT,
    CLUSTER_DOMAIN,
    OUTER_IP,
    PAUSE_IMAGE,
    POD_CIDR,
    Layout,
    node_name,
    pod_subnet,
)

CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
PODS_PER_NODE = 250

_UNUSED_CONTAINERD_PLUGINS = (
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.zfs",
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.internal.v1.opt",
    "io.containerd.tracing.processor.v1.otlp",
)


def write_kubeconfig(layout: Layout, user: str) -> Path:
    """The way in for one holder of a certificate; returns the file."""
    layout.kubeconfigs.mkdir(parents=True, exist_ok=True)
    cluster = {
        "server": f"https://{OUTER_IP}:{API_PORT}",
        "certificate-authority": str(layout.pki / "ca.crt"),
    }
    credentials = {
        "client-certificate": str(layout.pki / f"{user}.crt"),
        "client-key": str(layout.pki / f"{user}.key"),
    }
    return _write(
        layout.kubeconfigs / user,
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "e2e",
            "clusters": [{"name": "e2e", "cluster": cluster}],
            "users": [{"name": user, "user": credentials}],
            "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": user}}],
        },
    )


def write_cni(folder: Path, node: int) -> Path:
    """A bridge with one subnet per node, without masquerading; returns its folder."""
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": pod_subnet(node)}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    networks = {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge, portmap]}
    directory = folder / "cni"
    directory.mkdir(exist_ok=True)
    _write(directory / "10-pods.conflist", networks)
    return directory


def write_containerd(folder: Path, node: int, cni_plugins: Path) -> Path:
    """The configuration of containerd (version 2, read by 1.6 to 2.x); returns the file.

    `restrict_oom_score_adj`: where oom_score_adj may not be lowered (sandboxes, small VMs) no pod
    would start without it. `netns_mounts_under_state_dir` keeps pods out of a shared /run/netns.
    """
    disabled = ", ".join(f'"{plugin}"' for plugin in _UNUSED_CONTAINERD_PLUGINS)
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    path = folder / "containerd.toml"
    path.write_text(
        f"""version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
oom_score = 0
disabled_plugins = [{disabled}]

[{cri}]
sandbox_image = "{PAUSE_IMAGE}"
restrict_oom_score_adj = true
disable_apparmor = true
netns_mounts_under_state_dir = true

[{cri}.cni]
bin_dir = "{cni_plugins}"
conf_dir = "{write_cni(folder, node)}"

[{cri}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[{cri}.containerd.runtimes.runc.options]
SystemdCgroup = false
"""
    )
    return path


def write_kubelet(layout: Layout, node: int) -> Path:
    """The kubelet's configuration; returns the file.

    `cgroupsPerQOS` is off so that several kubelets on one machine do not fight over /kubepods
    (the price: no in-place resize, no pod-level resources); images are never collected, because
    nothing could pull them again.
    """
    name = node_name(node)
    resolv = layout.node(node) / "resolv.conf"
    resolv.write_text("")
    nothing_free = {"nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%"}
    return _write(
        layout.node(node) / "kubelet.json",
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
            "failCgroupV1": False,
            "cgroupDriver": "cgroupfs",
            "cgroupsPerQOS": False,
            "enforceNodeAllocatable": [],
            "failSwapOn": False,
            "oomScoreAdj": 0,
            "localStorageCapacityIsolation": False,
            "imageGCHighThresholdPercent": 100,
            "evictionHard": {"memory.available": "50Mi", **nothing_free},
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(layout.pki / "ca.crt")},
            },
            "authorization": {"mode": "Webhook"},
            "resolvConf": str(resolv),
            "clusterDomain": CLUSTER_DOMAIN,
            "clusterDNS": [OUTER_IP],
            "tlsCertFile": str(layout.pki / f"{name}.crt"),
            "tlsPrivateKeyFile": str(layout.pki / f"{name}.key"),
            "readOnlyPort": 0,
            "nodeStatusUpdateFrequency": "5s",
            "syncFrequency": "10s",
            "maxPods": PODS_PER_NODE,
            "serializeImagePulls": False,
            "registryPullQPS": 0,
        },
    )


def write_kube_proxy(layout: Layout, node: int) -> Path:
    """kube-proxy's configuration; returns the file.

    `minSyncPeriod` is its own default, written out because the steering's pace rests on it: label
    changes reach the routers at most once a second.
    """
    return _write(
        layout.node(node) / "kube-proxy.json",
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "clientConnection": {"kubeconfig": str(write_kubeconfig(layout, "kube-proxy"))},
            "clusterCIDR": POD_CIDR,
            "hostnameOverride": node_name(node),
            "conntrack": {
                "maxPerCore": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
            "oomScoreAdj": 0,
            "iptables": {"minSyncPeriod": "1s"},
        },
    )


def write_corefile(layout: Layout) -> Path:
    """CoreDNS for the cluster's own names and nothing else; returns the file."""
    path = layout.state / "Corefile"
    kubeconfig = write_kubeconfig(layout, "coredns")
    path.write_text(
        f"""{CLUSTER_DOMAIN} in-addr.arpa {{
    bind {OUTER_IP}
    errors
    kubernetes {CLUSTER_DOMAIN} in-addr.arpa {{
        kubeconfig {kubeconfig}
        ttl 5
    }}
    cache 5
}}
"""
    )
    return path


def _write(path: Path, value: dict[str, Any]) -> Path:
    path.write_text(json.dumps(value, indent=2) + "\n")
    return path
