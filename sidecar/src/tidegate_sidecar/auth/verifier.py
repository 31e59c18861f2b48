"""From a token's bytes to its facts: form, signature, claims; and what was found is kept.

A reconnect brings the same token again, and a rollout brings all of them, so a verified token is
kept by the digest of all its bytes, for minutes. Bad tokens are kept apart from it, in a small
place that they cannot outgrow, and what they may cost is bounded: beyond a tenth of a core they are
sent away as if the pod were full. Then an honest client comes again; a refusal would end it.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from typing import Final, TypeVar

from tidegate.auth.claims import ClaimRules, TokenFacts, read_facts
from tidegate.auth.guard import NotVerified
from tidegate.auth.refusals import unverified
from tidegate.auth.tokens import MAX_TOKEN_BYTES, CompactToken, TokenHeader, read_token
from tidegate.contract.errors import CallerError
from tidegate.stream.bucket import TokenBucket
from tidegate_sidecar.auth.keys import Keys, decoy

KEPT_S: Final = 300.0
MOST_REFUSED: Final = 1024
MOST_HEADERS: Final = 16
"""Headers of verified tokens that are kept: an issuer has one for each of its keys."""
FAILED_SHARE: Final = 0.1
"""Seconds of a core that tokens which turn out bad may cost, per second."""
FAILED_BURST_S: Final = 0.5

T = TypeVar("T")


class Verifier:
    """Verifies tokens; `most_kept` bounds the good ones that are kept.

    `clock` is in seconds and only grows. `key_may_come` is asked, by its name, for a key with which
    nothing could be verified; where it may still be fetched, the client is sent away until then.
    `counters` are for `/metrics`.
    """

    def __init__(
        self,
        rules: ClaimRules,
        most_kept: int,
        clock: Callable[[], float],
        key_may_come: Callable[[str | None], bool] = lambda _: False,
    ) -> None:
        self._rules = rules
        self._most_kept = most_kept
        self._clock = clock
        self._key_may_come = key_may_come
        self._keys = Keys()
        self._headers: dict[bytes, TokenHeader] = {}
        self._good: OrderedDict[bytes, tuple[float, TokenFacts]] = OrderedDict()
        self._bad: OrderedDict[bytes, tuple[float, CallerError]] = OrderedDict()
        self._budget = TokenBucket(FAILED_SHARE, FAILED_BURST_S, clock())
        self.counters = {"verified": 0, "recognised": 0, "failed": 0, "sent_away": 0}

    @property
    def keys(self) -> Keys:
        """The keys in force."""
        return self._keys

    def use(self, keys: Keys) -> None:
        """Verify by `keys` from now on; what others have verified is forgotten."""
        if keys != self._keys:
            self._keys = keys
            self._headers.clear()
            self._good.clear()
            self._bad.clear()

    def spend_on_failures(self, seconds: float) -> None:
        """Take what a bad token has cost from the budget."""
        self._budget.spend(seconds)

    def __call__(self, token: bytes) -> TokenFacts | NotVerified:
        """The facts of a token; times are not compared yet.

        Raises `CallerError`. ``"overloaded"``: not looked at, too many bad ones came lately;
        ``"unavailable"``: its key may be one that is still to be fetched.
        """
        if len(token) > MAX_TOKEN_BYTES:
            raise unverified()
        now, digest = self._clock(), sha256(token).digest()
        kept = self._good.get(digest)
        if kept is not None and now < kept[0]:
            self._good.move_to_end(digest)
            self.counters["recognised"] += 1
            return kept[1]
        refused = self._bad.get(digest)
        if refused is not None and now < refused[0]:
            raise _again(refused[1])
        parts = read_token(token, self._headers)
        if self._budget.wait_s(now) > 0:
            self.counters["sent_away"] += 1
            return "overloaded"
        return self._verify(parts, digest, now)

    def _verify(self, parts: CompactToken, digest: bytes, now: float) -> TokenFacts | NotVerified:
        began_s = time.thread_time()
        try:
            if not self._is_signed(parts):
                kid = parts.header.kid
                if not self._keys.has(kid) and self._key_may_come(kid):
                    self.spend_on_failures(time.thread_time() - began_s)
                    self.counters["sent_away"] += 1
                    return "unavailable"
                raise unverified()
            facts = read_facts(parts.payload, self._rules)
        except CallerError as error:
            self.counters["failed"] += 1
            self.spend_on_failures(time.thread_time() - began_s)
            _keep(self._bad, digest, (now + KEPT_S, error), MOST_REFUSED)
            raise _again(error) from None
        self.counters["verified"] += 1
        if len(self._headers) < MOST_HEADERS:
            self._headers[parts.signing_input.partition(b".")[0]] = parts.header
        _keep(self._good, digest, (now + KEPT_S, facts), self._most_kept)
        return facts

    def _is_signed(self, parts: CompactToken) -> bool:
        header = parts.header
        candidates = self._keys.candidates(header)
        if not candidates:
            idle = decoy(self._keys)
            if idle is not None:
                idle.verifies(min(idle.algorithms), parts.signing_input, parts.signature)
            return False
        signed = (parts.signing_input, parts.signature)
        return any(key.verifies(header.alg, *signed) for key in candidates)


def _keep(kept: OrderedDict[bytes, T], digest: bytes, value: T, most: int) -> None:
    kept[digest] = value
    kept.move_to_end(digest)
    if len(kept) > most:
        kept.popitem(last=False)


def _again(error: CallerError) -> CallerError:
    """The same refusal without the traceback of the first."""
    return CallerError(error.code, error.detail, error.field, error.status)
