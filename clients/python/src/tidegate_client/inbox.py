"""Three positions that are not the same: received, handed over, handled.

The connection is resumed after what was *received*, as long as what waits here is kept. What the
application's loop has taken is *handed over*: a new loop goes on behind it, and so does a stream
that is opened after what waited was dropped. *Handled* is what a loop has finished, by asking for
the next event: no acknowledgement passes it. The TypeScript client holds the same rules, and both
run the scenarios in `tests/vectors/client`.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from tidegate.wire.decode import Event

CAPACITY: Final = 1024
"""Reading stops while the application has this many events to take."""


_Item = Event | str
"""An event to take, or a position without one."""


class Inbox:
    """What has come and is not handed over. `again`: what a loop leaves unfinished comes again."""

    def __init__(self, start: str, *, again: bool) -> None:
        self.handled = start
        """The id up to which everything is handled."""
        self._again = again
        self._hand: Event | None = None
        self._items: deque[_Item] = deque()

    def __len__(self) -> int:
        return len(self._items)

    @property
    def position(self) -> str:
        """The id up to which everything is handed over."""
        return self._hand.id if self._hand is not None else self.handled

    def add(self, event: Event) -> None:
        """An event has come."""
        self._items.append(event)

    def move(self, event_id: str) -> None:
        """The stream has reached this id, without an event for the application."""
        items = self._items
        if event_id == (_id(items[-1]) if items else self.position):
            return
        if items and isinstance(items[-1], str):
            items.pop()
        if items or self._hand is not None:
            items.append(event_id)
        else:
            self.handled = event_id

    def take(self) -> Event | None:
        """Finish the event taken before, and take the next; ``None`` where none waits."""
        self.finish()
        while self._items:
            item = self._items.popleft()
            if isinstance(item, str):
                self.handled = item
                continue
            if self._again:
                self._hand = item
            else:
                self.handled = item.id
            return item
        return None

    def finish(self) -> None:
        """The event in hand is handled."""
        self.handled = self.position
        self._hand = None

    def leave(self) -> None:
        """The loop is left: an event in hand waits for the next one."""
        if self._hand is not None:
            self._items.appendleft(self._hand)
            self._hand = None

    def drop(self) -> None:
        """Forget what waits: it is to come again."""
        self._items.clear()


def _id(item: _Item) -> str:
    return item if isinstance(item, str) else item.id
