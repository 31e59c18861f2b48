"""The cluster's network: a bridge, a nested node's end of it, and routes. Nothing leads outside.

There is a default route only from a nested node to the outer namespace, and none there; what is
addressed to anything but the cluster is unreachable. The route for the Service addresses is needed
all the same: without one, connect() fails before iptables sees the packet.
"""

from __future__ import annotations

from e2e.cluster.commands import run
from e2e.cluster.native.layout import (
    BRIDGE,
    OUTER_IP,
    PRIVATE,
    SERVICE_CIDR,
    Layout,
    node_ip,
    pod_subnet,
)
from e2e.cluster.native.processes import daemon_environment, entering, holder

_FORWARD = "echo 1 >/proc/sys/net/ipv4/ip_forward"


def prepare_outer(layout: Layout) -> None:
    """The bridge, which is node 1's own address, and the way to the Services."""
    _do(
        layout,
        1,
        "ip link set lo up",
        f"ip link add {BRIDGE} type bridge",
        f"ip addr add {OUTER_IP}/24 dev {BRIDGE}",
        f"ip link set {BRIDGE} up",
        _FORWARD,
        f"ip route add {SERVICE_CIDR} dev {BRIDGE}",
    )


def connect_node(layout: Layout, node: int, nodes: int) -> None:
    """Plug a nested node into the bridge and tell it, and the outer one, where the pods are.

    A node that comes back finds the outer one's route still there.
    """
    pair = _pair(node)
    inner = _inner_pid(holder(layout, node))
    _do(
        layout,
        1,
        f"ip link add {pair} type veth peer name eth0 netns {inner}",
        f"ip link set {pair} master {BRIDGE} up",
        f"ip route replace {pod_subnet(node)} via {node_ip(node)}",
    )
    others = [other for other in range(1, nodes + 1) if other != node]
    _do(
        layout,
        node,
        "ip link set lo up",
        f"ip addr add {node_ip(node)}/24 dev eth0",
        "ip link set eth0 up",
        f"ip route add default via {OUTER_IP}",
        _FORWARD,
        *[f"ip route add {pod_subnet(other)} via {node_ip(other)}" for other in others],
    )


def make_private(layout: Layout, node: int) -> None:
    """Give a node its own /run, /var/lib and /var/log, and shared mounts as the kubelet wants."""
    binds = []
    for folder, place in PRIVATE.items():
        own = layout.node(node) / folder
        own.mkdir(parents=True, exist_ok=True)
        binds.append(f"mount --bind {own} {place}")
    _do(layout, node, *binds, "mount --make-rshared /")


def is_plugged(layout: Layout, node: int) -> bool:
    """Whether the bridge still has the nested node's cable; the kernel removes it with the node."""
    listed = run([*entering(layout, 1), "ip", "-oneline", "link"], env=daemon_environment())
    return f" {_pair(node)}@" in listed


def _pair(node: int) -> str:
    return f"veth{node}"


def _do(layout: Layout, node: int, *lines: str) -> None:
    script = "\n".join(lines)
    run([*entering(layout, node), "sh", "-ec", script], env=daemon_environment())


def _inner_pid(pid: int) -> int:
    """A process's pid as seen inside its own pid namespace (proc(5), NSpid)."""
    with open(f"/proc/{pid}/status") as status:
        line = next(line for line in status if line.startswith("NSpid:"))
    return int(line.split()[-1])
