"""A log within one process, for one pod and for trying things out: `log` and `acks`."""
