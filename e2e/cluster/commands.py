"""Running programs and waiting for what they bring about, each with a bound."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from e2e.cluster.provider import ClusterError

SHOWN_BYTES = 2000

T = TypeVar("T")


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    timeout_s: float = 120,
    detached: bool = False,
) -> str:
    """Run to the end and return what it printed; raises `ClusterError` with its last words.

    `detached`: it leaves something running that must not hold on to our pipes, so nothing is read.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            stdout=subprocess.DEVNULL if detached else subprocess.PIPE,
            stderr=subprocess.DEVNULL if detached else subprocess.PIPE,
            text=True,
            cwd=cwd,
            env=None if env is None else dict(env),
            input=stdin or "",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ClusterError(f"{' '.join(words)[:300]}: not done in {timeout_s:.0f} s") from None
    except OSError as error:
        raise ClusterError(f"{words[0]}: {error.strerror}") from None
    if done.returncode:
        said = ((done.stdout or "")[-SHOWN_BYTES:] + (done.stderr or "")[-SHOWN_BYTES:]).strip()
        raise ClusterError(f"{' '.join(words)[:300]}: exit status {done.returncode}\n{said}")
    return done.stdout or ""


def wait_until(
    what: str, holds: Callable[[], T], *, timeout_s: float = 60, step_s: float = 0.1
) -> T:
    """Ask until the answer is true and return it; an `OSError` or `ClusterError` is a no.

    Raises `ClusterError` when it does not come true in time.
    """
    give_up_s = time.monotonic() + timeout_s
    while True:
        why = ""
        try:
            if answer := holds():
                return answer
        except (OSError, ClusterError) as error:
            why = f": {error}"
        if time.monotonic() > give_up_s:
            raise ClusterError(f"{what}: not within {timeout_s:.0f} s{why}")
        time.sleep(step_s)
