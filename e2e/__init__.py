"""End-to-end tests: the demo's goals on this machine, and the same rollout on a real Kubernetes."""
