"""The injector: a webhook that adds the sidecar to pods whose owner asked for it."""
