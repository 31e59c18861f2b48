"""The native provider: Kubernetes as plain processes on one Linux machine, without Docker.

One process, the anchor, is process 1 of a new pid, network, mount and ipc namespace; everything
else runs below it, so killing it takes all processes, mounts, network devices and iptables rules
along. Node 1 is that namespace itself; further nodes are nested network and mount namespaces on
its bridge. ``/run``, ``/var/lib`` and ``/var/log`` are private per node, so that every program
finds its default paths and writes nothing on the host. Two things live outside any namespace and
are put back by `down`: cgroups, and a few sysctls that the kubelet sets.
"""
