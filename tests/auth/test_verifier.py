from __future__ import annotations

import time
from pathlib import Path

import pytest
from kit.issuer import AUDIENCE, Issuer

from tidegate.auth.claims import ClaimRules, TokenFacts
from tidegate.contract.errors import CallerError
from tidegate_sidecar.auth.key_files import KeyFiles
from tidegate_sidecar.auth.keys import Keys
from tidegate_sidecar.auth.verifier import FAILED_BURST_S, KEPT_S, MOST_REFUSED, Verifier


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Bench:
    def __init__(self, issuer: Issuer, directory: Path, most_kept: int = 100) -> None:
        self.clock = Clock()
        self.unknown = 0
        self.verifier = Verifier(ClaimRules(AUDIENCE), most_kept, self.clock, self.missed)
        keys = KeyFiles(issuer.write(directory)).read_if_changed()
        assert keys is not None
        self.verifier.use(keys)
        self.keys = keys

    def missed(self, _: str | None) -> bool:
        self.unknown += 1
        return False

    def refused(self, token: str) -> str:
        with pytest.raises(CallerError) as caught:
            self.verifier(token.encode())
        return caught.value.code

    def counted(self, name: str) -> int:
        return self.verifier.counters[name]


@pytest.mark.parametrize("alg", ["HS256", "RS256", "ES256", "EdDSA"])
def test_a_token_is_verified_once(issuer: Issuer, tmp_path: Path, alg: str) -> None:
    bench = Bench(issuer, tmp_path)
    token = issuer.token(alg=alg).encode()
    first = bench.verifier(token)
    assert isinstance(first, TokenFacts)
    assert first.subject == "42"
    assert bench.verifier(token) is first
    assert (bench.counted("verified"), bench.counted("recognised")) == (1, 1)
    bench.clock.now += KEPT_S
    assert bench.verifier(token) == first
    assert bench.counted("verified") == 2


def test_the_oldest_of_too_many_is_forgotten(issuer: Issuer, tmp_path: Path) -> None:
    bench = Bench(issuer, tmp_path, most_kept=2)
    tokens = [issuer.token({"sub": name}).encode() for name in "abc"]
    for token in (tokens[0], tokens[1], tokens[0], tokens[2], tokens[0]):
        bench.verifier(token)
    assert bench.counted("recognised") == 2
    bench.verifier(tokens[1])
    assert bench.counted("verified") == 4


def test_a_bad_token_is_verified_once_too_and_pushes_no_good_one_out(
    issuer: Issuer, tmp_path: Path
) -> None:
    bench = Bench(issuer, tmp_path, most_kept=1)
    good = issuer.token().encode()
    bench.verifier(good)
    bad = issuer.token(sign_with=Issuer.secret())
    assert bench.refused(bad) == bench.refused(bad) == "invalid_token"
    assert bench.counted("failed") == 1
    for number in range(MOST_REFUSED + 10):
        bench.clock.now += 1
        bench.refused(issuer.token({"sub": f"x{number}"}, sign_with=Issuer.secret()))
    bench.clock.now = 1
    bench.verifier(good)
    assert bench.counted("verified") == 1


def test_a_removed_key_takes_what_it_has_verified_with_it(issuer: Issuer, tmp_path: Path) -> None:
    bench = Bench(issuer, tmp_path)
    token = issuer.token(alg="ES256")
    bench.verifier(token.encode())
    bench.verifier.use(Keys(tuple(key for key in bench.keys.keys if key.kid != "e")))
    assert bench.refused(token) == "invalid_token"
    assert bench.unknown == 1
    bench.verifier.use(bench.keys)
    assert isinstance(bench.verifier(token.encode()), TokenFacts)


def test_what_bad_tokens_cost_is_bounded_and_known_ones_go_on(
    issuer: Issuer, tmp_path: Path
) -> None:
    bench = Bench(issuer, tmp_path)
    good = issuer.token().encode()
    bench.verifier(good)
    bench.verifier.spend_on_failures(FAILED_BURST_S)
    assert bench.verifier(issuer.token({"sub": "new"}).encode()) == "overloaded"
    assert bench.counted("sent_away") == 1
    assert isinstance(bench.verifier(good), TokenFacts)
    bench.clock.now += 1
    assert isinstance(bench.verifier(issuer.token({"sub": "new"}).encode()), TokenFacts)


def test_a_bad_token_is_charged_what_it_costs(issuer: Issuer, tmp_path: Path) -> None:
    bench = Bench(issuer, tmp_path)
    bad = [issuer.token({"n": n}, sign_with=Issuer.secret()).encode() for n in range(2000)]
    bench.verifier.spend_on_failures(FAILED_BURST_S - 0.001)
    answers: list[object] = []
    for token in bad:
        try:
            answers.append(bench.verifier(token))
        except CallerError:
            answers.append("refused")
    assert answers[0] == "refused"
    assert answers[-1] == "overloaded"


def test_an_unknown_key_costs_the_time_of_a_bad_signature(issuer: Issuer, tmp_path: Path) -> None:
    """The same steps are done: each answer takes one verification by the first key."""
    bench = Bench(issuer, tmp_path)
    bad = [issuer.token({"n": n}, sign_with=Issuer.secret()) for n in range(300)]
    unknown = [issuer.token({"n": n}, {"kid": "zz"}, sign_with=Issuer.secret()) for n in range(300)]

    def least_s(tokens: list[str]) -> float:
        taken = []
        for token in tokens:
            bench.clock.now += 1
            began = time.thread_time()
            bench.refused(token)
            taken.append(time.thread_time() - began)
        return min(taken)

    assert least_s(unknown) > least_s(bad) / 3
