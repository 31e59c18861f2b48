"""The injector: a webhook that adds the sidecar to annotated pods."""
