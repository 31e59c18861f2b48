"""Pod and settings in, JSON patch out: what the injector does to a pod, as a pure function.

`inject.inject` decides; `annotations.TABLE` is what a person may ask for, `checks` what stands
against it, `sidecar` the container that is added. No webhook, no clock, no randomness in here: the
pod's token is an argument.
"""
