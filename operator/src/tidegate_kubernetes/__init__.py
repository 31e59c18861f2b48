"""Access to Kubernetes, shared by the operator and by command-line tools; no kopf.

api        raw JSON over one kubernetes.aio client, with time-outs and one error type
kinds      which kinds are watched, where they are, and how they are read
objects    the fields of those objects that Tidegate reads, as typed records
readers    from the API server's JSON to those records
selectors  label selectors, as the API server matches them
values     single fields, read leniently: timestamps, counts, percentages
"""
