"""A bulkhead: what one tenant's objects break is that tenant's alone.

Bounds and readers keep bad documents out; this is for the ones they let in. The work on a scope, an
object or a status is done inside `Bulkhead.holds`, and a failure of whatever kind ends that piece
only: it is counted, logged with its traceback (one per subject and minute), and the others go on.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import Counter

LOG_EVERY_S: Final = 60.0
MOST_SUBJECTS: Final = 1000

log = logging.getLogger("tidegate.bulkhead")


class Bulkhead:
    """Keeps failures apart. `clock` gives monotonic seconds, `failures` counts by part."""

    def __init__(self, clock: Callable[[], float], failures: Counter) -> None:
        self._clock = clock
        self._failures = failures
        self._logged_s: dict[tuple[str, str], float] = {}

    @contextlib.contextmanager
    def holds(
        self, part: str, subject: str, on_failure: Callable[[str], None] | None = None
    ) -> Iterator[None]:
        """Let no exception of the block out.

        `on_failure` is called with a sentence when a failure is logged, so as rarely.
        """
        try:
            yield
        except Exception as error:  # noqa: BLE001 - any failure is this subject's alone
            self._failed(part, subject, error, on_failure)

    def _failed(
        self,
        part: str,
        subject: str,
        error: Exception,
        on_failure: Callable[[str], None] | None,
    ) -> None:
        self._failures.labels(part=part).inc()
        now = self._clock()
        if now - self._logged_s.get((part, subject), float("-inf")) < LOG_EVERY_S:
            return
        self._logged_s.pop((part, subject), None)
        self._logged_s[part, subject] = now
        while len(self._logged_s) > MOST_SUBJECTS:
            self._logged_s.pop(next(iter(self._logged_s)))
        log.error("%s of %s failed; the others go on", part, subject, exc_info=error)
        if on_failure is not None:
            on_failure(f"{part} failed ({type(error).__name__}), the operator's log has the trace")
