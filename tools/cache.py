"""Where built things are kept between runs and clones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

VARIABLE = "TIDEGATE_CACHE"


def cache_directory(environment: Mapping[str, str]) -> Path:
    """``$TIDEGATE_CACHE``, else ``$XDG_CACHE_HOME/tidegate``, else ``~/.cache/tidegate``."""
    if chosen := environment.get(VARIABLE):
        return Path(chosen).absolute()
    if base := environment.get("XDG_CACHE_HOME"):
        return Path(base).absolute() / "tidegate"
    return Path.home() / ".cache" / "tidegate"


def fingerprint(files: Iterable[Path], *words: str) -> str:
    """A short name for exactly these files' names and contents and these texts."""
    digest = hashlib.sha256()
    for word in words:
        digest.update(word.encode() + b"\0")
    for file in sorted(files):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
