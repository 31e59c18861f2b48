"""A real Kubernetes cluster for the end-to-end tests, by one of two providers.

`kind` is for machines with a Docker engine. `native` is for a Linux machine with root and no
Docker: it builds Kubernetes, etcd and CoreDNS from their Go modules once and runs them as plain
processes in namespaces of their own, which have no way out. Nothing is emulated in either.

``python -m e2e.cluster up|down|status`` drives them by hand; the tests use `providers.provider`.
"""
