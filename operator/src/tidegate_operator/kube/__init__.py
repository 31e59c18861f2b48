"""The operator's Kubernetes shell: watch with kopf, write with kubernetes.aio, lead by a Lease.

What the cluster's objects mean is decided by pure functions on them (`objects`, `steerable`,
`policies`, `snapshots`, `rollouts`); around those stand thin parts that own sockets and clocks.
Two threads: kopf runs in one of its own, because it cancels whatever else lives on its loop and
ends slowly; everything else shares the main loop. They meet in one place, the `inbox`.
"""
