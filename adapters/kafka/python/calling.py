"""A thread that calls the library, so that the thread that asked is free to do what the library calls back for."""

import queue
import threading
from collections.abc import Callable
from typing import NamedTuple

from adapters.kafka.client import Unavailable

_STUCK = 60.0
"""Seconds without a word after which a call is given up; the library's own time-outs end all that we know of."""


class _Wish(NamedTuple):
    act: Callable[[], None]
    done: Callable[[], None]


class _Over(NamedTuple):
    error: BaseException | None


class Caller:
    """`run` belongs to one thread; `wish` is for the library's."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._events: queue.SimpleQueue[_Wish | _Over] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="kafka-calls", daemon=True).start()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            error = None
            try:
                call()
            except BaseException as raised:
                error = raised
            self._events.put(_Over(error))

    def wish(self, act: Callable[[], None], done: Callable[[], None]) -> None:
        """Have something done by the thread that is in `run`, and hear of it."""
        self._events.put(_Wish(act, done))

    def run(self, call: Callable[[], None]) -> None:
        """Run a call to its end, doing what is wished meanwhile; raises what the call or a wish raised."""
        self._calls.put(call)
        errors: list[BaseException] = []
        while True:
            try:
                event = self._events.get(timeout=_STUCK)
            except queue.Empty:
                raise Unavailable(f"The Kafka library said nothing for {_STUCK:.0f} s: begin anew.") from None
            if isinstance(event, _Over):
                if event.error is not None:
                    errors.append(event.error)
                break
            try:
                event.act()
            except BaseException as error:
                errors.append(error)
            finally:
                event.done()
        if errors:
            raise errors[0]

    def end(self) -> None:
        self._calls.put(None)
