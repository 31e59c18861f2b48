"""Pod and settings in, JSON patch out: what the injector does to a pod, as a pure function."""
