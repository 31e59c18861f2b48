"""Keys from a directory, as Kubernetes mounts a Secret, and again whenever its files change.

A rotation needs no restart: put the new key in, issue tokens by it, take the old one out. A change
that cannot be read leaves the last good keys in force and is a problem in `/status`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tidegate_sidecar.auth.keys import KeyProblem, Keys, VerifyingKey, read_keys

MAX_KEYS: Final = 16
MAX_FILE_BYTES: Final = 64 * 1024

_Stamp = tuple[tuple[str, int, int, int], ...]


class KeyFiles:
    """The keys in the files of `directory`; those that begin with a dot are none.

    Every method reads files, so it is called outside of the loop once streams are served.
    """

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory)
        self._stamp: _Stamp | None = None

    def read_if_changed(self) -> Keys | None:
        """The keys if a file has changed since the last call, else ``None``.

        Raises `KeyProblem` that names the file; the same state is not read twice.
        """
        try:
            stamp = tuple(self._stamps())
            if stamp == self._stamp:
                return None
            self._stamp = stamp
            return self._read([name for name, *_ in stamp])
        except OSError as error:
            raise KeyProblem(f"{self._directory}: {error.strerror}") from None

    def _stamps(self) -> Iterator[tuple[str, int, int, int]]:
        for path in sorted(self._directory.iterdir()):
            if not path.name.startswith(".") and path.is_file():
                seen = path.stat()
                yield path.name, seen.st_mtime_ns, seen.st_size, seen.st_ino

    def _read(self, names: list[str]) -> Keys:
        found: list[VerifyingKey] = []
        for name in names:
            with (self._directory / name).open("rb") as file:
                text = file.read(MAX_FILE_BYTES + 1)
            if len(text) > MAX_FILE_BYTES:
                raise KeyProblem(f"{name}: has more than {MAX_FILE_BYTES} bytes")
            try:
                found += read_keys(text)
            except KeyProblem as problem:
                raise KeyProblem(f"{name}: {problem}") from None
        if not found:
            raise KeyProblem(f"{self._directory}: holds no key")
        if len(found) > MAX_KEYS:
            raise KeyProblem(f"{self._directory}: holds more than {MAX_KEYS} keys")
        return Keys(tuple(found))
