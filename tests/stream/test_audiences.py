from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tidegate.contract.publish import To
from tidegate.stream.audience import Audience, Audiences


class Member:
    def __init__(self, cursor: int) -> None:
        self.slot = -1
        self.cursor = cursor
        self.got: list[int] = []
        self.since = cursor


class APassWithComingsAndGoings(RuleBasedStateMachine):
    """Whoever stays gets every event once, whatever joins and leaves while a pass goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.audience: Audience[Member] = Audience((), 0)
        self.in_pass = False

    @rule(count=st.integers(1, 5))
    def join(self, count: int) -> None:
        for _ in range(count):
            self.audience.add(Member(self.audience.head))

    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        if self.audience.members:
            self.audience.remove(data.draw(st.sampled_from(self.audience.members)))

    @rule(count=st.integers(1, 3))
    def publish(self, count: int) -> None:
        for _ in range(count):
            seq = self.audience.head + 1
            self.audience.append(seq, b"%d," % seq)

    @rule(budget=st.integers(1, 3), max_bytes=st.sampled_from([1, 3, 100]))
    def visit(self, budget: int, max_bytes: int) -> None:
        audience = self.audience
        if not self.in_pass:
            audience.begin_pass()
            self.in_pass = True
        start = audience.visited
        slice_ = audience.members[start : start + budget]
        audience.visited = start + len(slice_)
        for member in slice_:
            if member.cursor < audience.head:
                data, count, reached = audience.piece(member.cursor, max_bytes)
                got = [int(part) for part in data.decode().split(",") if part]
                assert len(got) == count
                member.got += got
                member.cursor = reached
                audience.reached = min(audience.reached, reached)
        if audience.visited >= len(audience.members):
            audience.end_pass()
            self.in_pass = False

    @invariant()
    def slots_are_right(self) -> None:
        for index, member in enumerate(self.audience.members):
            assert member.slot == index

    def teardown(self) -> None:
        for _ in range(1000):
            if not self.in_pass and not self.audience.pending:
                break
            self.visit(3, 100)
        for member in self.audience.members:
            assert member.got == list(range(member.since + 1, self.audience.head + 1))


APassWithComingsAndGoings.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestPass = APassWithComingsAndGoings.TestCase


def test_the_same_topics_share_an_audience() -> None:
    audiences: Audiences[Member] = Audiences()
    assert audiences.of(("a", "b"), 3) is audiences.of(("a", "b"), 9)
    assert len(audiences) == 1


def test_an_event_finds_each_audience_once() -> None:
    audiences: Audiences[Member] = Audiences()
    ab, b, none = (audiences.of(topics, 0) for topics in (("a", "b"), ("b",), ()))
    assert list(audiences.addressed(To(topics=("a", "b")))) == [ab, b]
    assert list(audiences.addressed(To(topics=("a",)))) == [ab]
    assert list(audiences.addressed(To(topics=("x",)))) == []
    assert set(audiences.addressed(To(everyone=True))) == {ab, b, none}
    assert list(audiences.addressed(To(client="1"))) == []


def test_an_empty_audience_is_forgotten() -> None:
    audiences: Audiences[Member] = Audiences()
    audience = audiences.of(("a",), 0)
    member = Member(0)
    audience.add(member)
    audiences.drop_if_empty(audience)
    assert len(audiences) == 1
    audience.remove(member)
    audiences.drop_if_empty(audience)
    audiences.drop_if_empty(audience)
    assert len(audiences) == 0
    assert list(audiences.addressed(To(topics=("a",)))) == []


def test_streams_at_one_cursor_share_the_very_piece() -> None:
    audience: Audience[Member] = Audience((), 0)
    for seq in (1, 2, 3):
        audience.append(seq, b"x")
    assert audience.piece(1, 100) is audience.piece(1, 100)
    assert audience.piece(1, 100) == (b"xx", 2, 3)
