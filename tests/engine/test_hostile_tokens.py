"""Five thousand tokens that are nearly good: none is accepted, and each way in answers the same."""

from __future__ import annotations

import random
import string
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from engine.enginekit import Bench
from kit.issuer import Issuer

from tidegate.auth.guard import TurnedAway
from tidegate.auth.rights import Asked
from tidegate.contract.auth_settings import AuthSettings
from tidegate.contract.errors import CallerError
from tidegate.stream.decisions import Refuse
from tidegate.stream.requests import StreamRequest
from tidegate_sidecar.auth.service import Authentication

COUNT = 5000
PATH = "/sse/subscribe/42"
LETTERS = string.ascii_letters + string.digits + "-_"


def somewhere(rng: random.Random, token: str) -> int:
    return rng.randrange(len(token))


def changed(rng: random.Random, token: str) -> str:
    at = somewhere(rng, token)
    return token[:at] + rng.choice(LETTERS) + token[at + 1 :]


def other_bytes(rng: random.Random, token: str) -> str:
    at = somewhere(rng, token)
    return token[:at] + chr(rng.randrange(1, 256)) + token[at + 1 :]


def longer(rng: random.Random, token: str) -> str:
    at = somewhere(rng, token)
    return token[:at] + rng.choice(LETTERS + ".=+/ %") * rng.randrange(1, 5) + token[at:]


def shorter(rng: random.Random, token: str) -> str:
    at = somewhere(rng, token)
    return token[:at] + token[at + rng.randrange(1, 9) :]


def exchanged(rng: random.Random, token: str) -> str:
    parts = token.split(".")
    rng.shuffle(parts)
    return ".".join(parts)


def repeated(rng: random.Random, token: str) -> str:
    parts = token.split(".")
    return ".".join([*parts, rng.choice(parts)][rng.randrange(2) :])


def emptied(rng: random.Random, token: str) -> str:
    parts = token.split(".")
    parts[rng.randrange(3)] = ""
    return ".".join(parts)


def other_case(rng: random.Random, token: str) -> str:
    at = somewhere(rng, token)
    return token[:at] + token[at:].swapcase()


MUTATIONS: tuple[Callable[[random.Random, str], str], ...] = (
    *(changed, changed, other_bytes, longer, shorter, exchanged, repeated, emptied, other_case),
)


def mutants(issuer: Issuer) -> list[str]:
    rng = random.Random(14)
    good = [issuer.token({"n": n}, alg=alg) for alg in issuer.keys for n in range(4)]
    # Parts of one token beside parts of another are well-formed and signed, each for itself.
    spliced = [
        ".".join((a.split(".")[0], b.split(".")[1], c.split(".")[2]))
        for a in good
        for b in good
        for c in (rng.choice(good),)
    ]
    found = dict.fromkeys(one for one in spliced if one not in good)
    while len(found) < COUNT:
        token = rng.choice(good)
        for _ in range(rng.randrange(1, 3)):
            token = rng.choice(MUTATIONS)(rng, token) or "x"
        if token not in good:
            found[token] = None
    return list(found)


async def test_no_mutated_token_is_accepted_by_any_way(tmp_path: Path) -> None:
    issuer = Issuer()
    clock = Bench()
    settings = AuthSettings(mode="jwt", keys=issuer.write(tmp_path), audience="feed")
    guard = Authentication(settings, (), 100, lambda: clock.now).guard
    decide = Bench(guard=guard).engine.admission.decide
    seen = Counter[str]()
    for token in mutants(issuer):
        clock.now += 1.0  # the budget for bad tokens is another test's
        value = f"Bearer {token}".encode("latin-1")
        headers = [(b"host", b"x"), (b"authorization", value)]
        get = StreamRequest("GET", "1.1", PATH.encode(), b"", headers=headers)
        answers = [decide(get, "takeover"), decide(get, "asgi")]
        answers.append(decide(get._replace(method="HEAD"), "asgi"))
        screened = guard.screen(headers, b"")
        try:
            given = guard.rights(screened.credential, "POST", headers, Asked("42"))
            raise AssertionError(f"accepted: {token}, {isinstance(given, TurnedAway)}")
        except CallerError as error:
            answers.append(Refuse(error))
        assert all(isinstance(answer, Refuse) for answer in answers), (token, answers)
        bodies = {answer.body for answer in answers if isinstance(answer, Refuse)}
        assert len(bodies) == 1, (token, bodies)
        assert {answer.status for answer in answers if isinstance(answer, Refuse)} == {401}
        seen[bodies.pop().decode()] += 1
    assert sum(seen.values()) == COUNT
    assert len(seen) == 1, seen
