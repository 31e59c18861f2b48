"""Signals: those that end a program with a goodbye, and those that must not end it at all.

The kernel's default for most signals is to end the process at once, which here would cut every
stream. As PID 1 of a container it is the opposite: a signal without a handler is dropped, and a
pod deleted while it starts would wait for its whole grace period. So there is a handler from the
program's first line on.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator
    from types import FrameType

_ENDING: Final = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGXCPU")
_IGNORED: Final = ("SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGIO", "SIGPWR")


def end_at_once() -> None:
    """End with status 0 on a signal from now on: nothing has begun that needs a goodbye.

    The program replaces this by `stop_on_signals`. Also opens the standard streams that are
    closed, so that no socket gets their number and receives a log line.
    """
    for number in _present(_ENDING):
        signal.signal(number, _end)
    for number in _present(_IGNORED):
        signal.signal(number, signal.SIG_IGN)
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one


def stop_on_signals(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
    """Call `stop` for every signal that asks the program to end; ignore the others."""
    for number in _present(_ENDING):
        loop.add_signal_handler(number, stop)
    for number in _present(_IGNORED):
        loop.add_signal_handler(number, _ignore, number)


def _present(names: tuple[str, ...]) -> Iterator[signal.Signals]:
    for name in names:
        number = getattr(signal, name, None)  # not every system has all of them
        if number is None or (name == "SIGHUP" and _is_ignored(number)):
            continue  # nohup: the terminal's end is none of ours
        yield number


def _is_ignored(number: signal.Signals) -> bool:
    return signal.getsignal(number) is signal.SIG_IGN


def _ignore(number: signal.Signals) -> None:
    import logging  # not above: the first handler must be there before slow imports

    logging.getLogger("tidegate.process").info("%s is ignored; SIGTERM ends it", number.name)


def _end(_number: int, _frame: FrameType | None) -> None:
    # Not sys.exit: an exception in the midst of an import or a destructor could be swallowed.
    os._exit(0)
