"""Authentication's outside: keys from files, signatures by a library, what was verified kept.

Imported only where `TIDEGATE_AUTH` asks for it, so that a pod without it loads no cryptography.
Whatever can be decided without a key or a file is in `tidegate.auth`.

The library is joserfc: maintained, typed, and it only ever gets a key that is bound to its
algorithms, the signing input and the signature. Claims and headers are read by our own rules, which
are stricter than any library's; a library's whole ``decode`` would read them a second time.
"""
